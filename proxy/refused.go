package proxy

import (
	"hash/maphash"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
)

// maxRefused is how many refused statements are remembered.
const maxRefused = 4096

// refusals remembers statements that looked like reads and that a replica refused as writes: a function or a view that
// writes. The next time they go to the primary at once. Only their hash is kept. Safe for concurrent use.
type refusals struct {
	seed  maphash.Seed
	texts *lru.Cache[uint64, struct{}]
	any   atomic.Bool // spares the hash as long as there is nothing to find
}

func newRefusals() *refusals {
	texts, err := lru.New[uint64, struct{}](maxRefused)
	if err != nil {
		panic("BUG: " + err.Error()) // only of a size below 1
	}
	return &refusals{seed: maphash.MakeSeed(), texts: texts}
}

func (r *refusals) has(sql []byte) bool {
	return r.any.Load() && r.texts.Contains(maphash.Bytes(r.seed, sql))
}

func (r *refusals) add(sql []byte) {
	r.texts.Add(maphash.Bytes(r.seed, sql), struct{}{})
	r.any.Store(true)
}
