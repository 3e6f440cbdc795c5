package doctor

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	OK      Severity = "ok"      // as it should be
	Warning Severity = "warning" // it works, but worse or less safely than it could
	Error   Severity = "error"   // the server is not used, or the promise does not hold there
)

// Finding is one thing that was looked at, on one server.
type Finding struct {
	Severity Severity `json:"severity"`
	Server   string   `json:"server"`           // its address; empty: it concerns all
	Check    string   `json:"check"`            // what was looked at, a constant in snake_case
	Found    string   `json:"found"`            // one sentence for people
	Advice   string   `json:"advice,omitempty"` // what to do about it; empty when all is well
}

// Problem tells whether something is to be done.
func (f Finding) Problem() bool { return f.Severity != OK }

// Worst is the worst severity among the findings, OK when there are none.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		if f.Severity == Error || worst == OK {
			worst = f.Severity
		}
		if worst == Error {
			break
		}
	}
	return worst
}
