package guarantees

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Report is what came of a run.
type Report struct {
	Hints   []Hint  `json:"hints"`
	Split   bool    `json:"split"`
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`

	Reads   int64 `json:"reads"`   // answers
	Checked int64 `json:"checked"` // answers for which the session's past said something
	Behind  int64 `json:"behind"`  // answers without a write that somebody had been told of before: allowed, if it was somebody else
	Writes  int64 `json:"writes"`  // acknowledged
	Unknown int64 `json:"unknown"` // writes of which nobody knows whether they happened

	Errors     map[string]int64 `json:"errors"`     // by the server's number, or what else it was
	Violations map[string]int64 `json:"violations"` // by guarantee; all of them are there
	Samples    []Violation      `json:"samples,omitempty"`
}

// Broken is how many answers broke a guarantee.
func (r *Report) Broken() (n int64) {
	for _, v := range r.Violations {
		n += v
	}
	return n
}

// Failures is how many errors users met.
func (r *Report) Failures() (n int64) {
	for _, v := range r.Errors {
		n += v
	}
	return n
}

// count counts an error by its kind: there are few.
func (r *Report) count(err error) {
	kind := "connection"
	var refused *mysqlwire.Error
	switch {
	case errors.As(err, &refused):
		kind = strconv.Itoa(int(refused.Code))
	case errors.Is(err, errMalformed):
		kind = "malformed"
	case errors.Is(err, errNoAttributes):
		kind = "no_query_attributes"
	case errors.Is(err, errNotWritten):
		kind = "not_written"
	}
	r.Errors[kind]++
}

// Table prints the report for people.
func (r *Report) Table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(n int64, what string) { fmt.Fprintf(w, "%d\t  %s\n", n, what) }
	line(r.Reads, "reads")
	line(r.Checked, "of them judged by what the session had written or read before")
	line(r.Behind, "of them without somebody's newest write: they came from a replica that was late")
	line(r.Writes, "writes that were acknowledged")
	line(r.Unknown, "writes with an unknown outcome")
	line(r.Failures(), "errors"+r.kinds())
	for g := range guarantees {
		name := Guarantee(g).String()
		line(r.Violations[name], "violations: "+name)
	}
	_ = w.Flush() // whoever closed the output does not want to know
	for _, v := range r.Samples {
		fmt.Fprintf(out, "%s\n", v)
	}
	fmt.Fprintf(out, "%.1f s, seed %d\n", r.Seconds, r.Seed)
}

// kinds lists the errors, the most frequent first.
func (r *Report) kinds() (text string) {
	names := slices.SortedFunc(maps.Keys(r.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Errors[b], r.Errors[a]), cmp.Compare(a, b))
	})
	for _, name := range names {
		text += fmt.Sprintf(", %s: %d", name, r.Errors[name])
	}
	return text
}

// String is the violation in a line.
func (v Violation) String() string {
	text := fmt.Sprintf("%s: session %s, cell %d: got version %d", v.Guarantee, v.Session, v.Cell, v.Got)
	if v.Want > 0 {
		text += fmt.Sprintf(", want at least %d", v.Want)
	}
	return text + " (" + v.Detail + ")"
}

// Names are the guarantees by name, in their order.
func Names() []string { return slices.Clone(guaranteeNames[:]) }

// UnmarshalText reads what MarshalText has written.
func (g *Guarantee) UnmarshalText(text []byte) error {
	i := slices.Index(guaranteeNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no session guarantee", text)
	}
	*g = Guarantee(i)
	return nil
}

// MarshalText makes the name of the guarantee what is in JSON.
func (g Guarantee) MarshalText() ([]byte, error) { return []byte(g.String()), nil }
