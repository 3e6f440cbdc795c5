package session

// maxAccounts is how many accounts of a shard have a floor of their own. The
// servers' accounts are few; where they are made by the hour, those beyond this
// number share one, until nothing is known of any account that shares.
const maxAccounts = 4096

// common is the number of the accounts that share: all those without a number.
const common = 0

// account is what a shard knows of one MySQL account. It is in use as long as it
// has records or a floor: without both there is nothing to know.
type account struct {
	name    string // "" of common and of a free one
	records int
	floored bool   // floor counts; else the floor is the start
	floor   record // never less than the start
}

// accounts numbers the accounts of a shard. While common is in use, no account gets
// a number: it may have records or a floor there, that would not be found any more.
type accounts struct {
	start   record
	numbers map[string]int
	list    []account // by number
	free    []int     // numbers without an account
}

func newAccounts(start record) accounts {
	return accounts{start: start, numbers: map[string]int{}, list: make([]account, 1)}
}

// find returns the number of the account, which is common if it has none.
func (a *accounts) find(name string) int { return a.numbers[name] }

// floor returns the floor of an account.
func (a *accounts) floor(number int) record {
	if acc := &a.list[number]; acc.floored {
		return acc.floor
	}
	return a.start
}

// claim returns the number of an account that is about to have a record, and gives
// it one if that is possible.
func (a *accounts) claim(name string, oldest stamp) int {
	if number, ok := a.numbers[name]; ok {
		return number
	}
	a.drop(common, oldest)
	if a.used(common) {
		return common
	}
	number, ok := a.unused(oldest)
	if !ok {
		return common
	}
	a.numbers[name] = number
	a.list[number] = account{name: name}
	return number
}

// unused returns a number without an account, if there is one or can be one.
func (a *accounts) unused(oldest stamp) (int, bool) {
	if len(a.free) == 0 && len(a.list) <= maxAccounts {
		a.list = append(a.list, account{})
		return len(a.list) - 1, true
	}
	if len(a.free) == 0 {
		a.sweep(oldest)
	}
	if len(a.free) == 0 {
		return 0, false
	}
	number := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	return number, true
}

func (a *accounts) used(number int) bool {
	return a.list[number].records > 0 || a.list[number].floored
}

// raise merges what an evicted record had to see into the floor of its account. It
// returns false if the start covers that already.
func (a *accounts) raise(number int, r record) bool {
	if r.within(a.start) {
		return false
	}
	acc := &a.list[number]
	acc.floor = a.floor(number).merge(r)
	acc.floored = true
	return true
}

// raiseAll merges o into the start and every floor.
func (a *accounts) raiseAll(o record) {
	a.start = a.start.merge(o)
	for i := range a.list {
		if a.list[i].floored {
			a.list[i].floor = a.list[i].floor.merge(o)
		}
	}
}

// drop ends a floor of which nothing counts any more: its times have expired and
// its GTIDs are those of the start.
func (a *accounts) drop(number int, oldest stamp) {
	acc := &a.list[number]
	if acc.floored && acc.floor.live(oldest).within(a.start) {
		acc.floor, acc.floored = record{}, false
	}
}

// sweep drops the floors that have expired, takes back the numbers of accounts that
// are not in use, and returns how many floors there are.
func (a *accounts) sweep(oldest stamp) (floors int) {
	for number := range a.list {
		a.drop(number, oldest)
		acc := &a.list[number]
		if acc.floored {
			floors++
		}
		if name := acc.name; name != "" && !a.used(number) {
			delete(a.numbers, name)
			*acc = account{}
			a.free = append(a.free, number)
		}
	}
	return floors
}
