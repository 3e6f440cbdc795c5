package stickyproxy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stickyproxy/stickyproxy/"

// arrows are the imports between packages that ARCHITECTURE.md draws, without those of tests. A new arrow is a decision:
// make it there first.
var arrows = map[string][]string{
	"gtid":                           {},
	"internal/netfd":                 {},
	"mysqlwire":                      {"internal/netfd"},
	"session":                        {"gtid"},
	"router":                         {"gtid"},
	"backend":                        {"gtid", "internal/netfd", "mysqlwire", "router"},
	"doctor":                         {"backend", "mysqlwire"},
	"proxy":                          {"backend", "gtid", "internal/netfd", "mysqlwire", "router", "session"},
	"admin":                          {},
	"integration/guarantees":         {"backend", "mysqlwire"},
	"bench/stats":                    {},
	"bench/client":                   {"backend", "mysqlwire"},
	"bench/lag":                      {"bench/stats"},
	"bench/lab":                      {"backend", "bench/client", "internal/mysqltest", "mysqlwire"},
	"bench/policies":                 {"bench/client", "bench/stats"},
	"bench/load":                     {"bench/client", "bench/stats"},
	"bench/report":                   {"bench/lag", "bench/load", "bench/policies", "bench/stats", "integration/guarantees"},
	"internal/mysqltest":             {"backend", "mysqlwire"},
	"internal/mysqltest/clustertest": {"internal/mysqltest"},
	"internal/mysqltest/fakeserver":  {},
	"internal/mysqltest/faultyconn":  {},
	"integration/conformance":        {"backend", "internal/mysqltest", "proxy", "router", "session"},
	"cmd/stickyproxy":                {"admin", "backend", "bench/client", "bench/lab", "bench/lag", "bench/load", "bench/policies", "bench/report", "doctor", "gtid", "integration/guarantees", "internal/mysqltest", "mysqlwire", "proxy", "router", "session"},
}

// modules are what the server binary is made of besides the standard library: see "Dependencies" in ARCHITECTURE.md.
var modules = []string{
	"codeberg.org/go-latex/latex",
	"filippo.io/edwards25519",
	"github.com/HdrHistogram/hdrhistogram-go",
	"github.com/ajstarks/svgo",
	"github.com/beorn7/perks",
	"github.com/cespare/xxhash/v2",
	"github.com/go-mysql-org/go-mysql",
	"github.com/goccy/go-yaml",
	"github.com/google/uuid",
	"github.com/hashicorp/golang-lru/v2",
	"github.com/klauspost/compress",
	"github.com/munnerz/goautoneg",
	"github.com/pingcap/errors",
	"github.com/pires/go-proxyproto",
	"github.com/prometheus/client_golang",
	"github.com/prometheus/client_model",
	"github.com/prometheus/common",
	"github.com/prometheus/procfs",
	"github.com/spf13/cobra",
	"github.com/spf13/pflag",
	"github.com/stickyproxy/stickyproxy",
	"go.uber.org/atomic",
	"golang.org/x/image",
	"golang.org/x/sync",
	"golang.org/x/sys",
	"golang.org/x/text",
	"gonum.org/v1/plot",
	"google.golang.org/protobuf",
}

// goPackage is what go list says about a package.
type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

// goList runs go list on the given packages.
func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard,Module"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var list []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// Packages import only what is below them.
func TestArrows(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue // the folder of this test
		}
		allowed, known := arrows[name]
		if !known {
			if len(p.Imports) > 0 {
				t.Errorf("package %s is not in the picture", name)
			}
			continue
		}
		for _, i := range p.Imports {
			if to, ours := strings.CutPrefix(i, module); ours && !slices.Contains(allowed, to) {
				t.Errorf("a new arrow: %s imports %s", name, to)
			}
		}
	}
}

// The server binary has the modules that are argued for, and no driver or parser of the tests.
func TestBinaryModules(t *testing.T) {
	got := map[string]bool{}
	for _, p := range goList(t, "-deps", "./cmd/stickyproxy") {
		if p.Module != nil {
			got[p.Module.Path] = true
		}
	}
	for m := range got {
		if !slices.Contains(modules, m) {
			t.Errorf("a new module in the binary: %s", m)
		}
	}
	for _, m := range modules {
		if !got[m] {
			t.Errorf("no longer in the binary, and to be taken off the list: %s", m)
		}
	}
}
