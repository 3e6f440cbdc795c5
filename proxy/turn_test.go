package proxy

import (
	"net"
	"testing"
	"time"
)

// deadlines is a connection that notes its deadlines.
type deadlines struct {
	net.Conn
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// A shutdown ends a wait for a command, and nothing else, whatever comes first.
func TestTurn(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps string // e: end of a command, q: the same with nothing open, b: begin of one, s: stop
		goes  string // what end answers, + or -
		set   string // deadlines: p past, z none
	}{
		{"no shutdown", "qbqb", "++", ""},
		{"between two commands", "qs", "+", "p"},
		{"in a transaction", "es", "+", ""},
		{"during a command", "qbsq", "+-", ""},
		{"during a command that opens a transaction", "qbsebq", "++-", ""},
		{"a moment late", "qsb", "+", "pz"},
		{"before the first command", "sq", "-", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var turn turn
			var nc deadlines
			goes := ""
			for _, step := range tt.steps {
				switch step {
				case 'b':
					turn.begin(&nc)
				case 's':
					turn.stop(&nc)
				default:
					if turn.end(&nc, step == 'q', 0, time.Time{}) {
						goes += "+"
					} else {
						goes += "-"
					}
				}
			}
			set := ""
			for _, d := range nc.set {
				if d.IsZero() {
					set += "z"
				} else {
					set += "p"
				}
			}
			if goes != tt.goes || set != tt.set {
				t.Errorf("got %q and deadlines %q, want %q and %q", goes, set, tt.goes, tt.set)
			}
			if got, want := turn.draining(), tt.name != "no shutdown"; got != want {
				t.Errorf("draining %v", got)
			}
		})
	}
}

// A client that waits for longer than it may is ended, and no other.
func TestTurnExpires(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, tt := range []struct {
		name     string
		patience time.Duration
		steps    string // e: end of a command, b: begin of one, 0 to 9: a look, at that second
		want     bool
	}{
		{"no limit", 0, "e09", false},
		{"in time", 3 * time.Second, "e02", false},
		{"too late", 3 * time.Second, "e03", true},
		{"a command in between", 3 * time.Second, "e0be24", false},
		{"in a command", 3 * time.Second, "eb09", false},
		{"measured from the first look", 3 * time.Second, "e57", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var turn turn
			var nc deadlines
			for _, step := range tt.steps {
				switch step {
				case 'e':
					turn.end(&nc, false, tt.patience, time.Time{})
				case 'b':
					turn.begin(&nc)
				default:
					turn.expire(&nc, start.Add(time.Duration(step-'0')*time.Second))
				}
			}
			if got := turn.tooLate(); got != tt.want || got != (len(nc.set) > 0) {
				t.Errorf("expired %v, deadlines %v", got, nc.set)
			}
		})
	}
}

// A wait that began at a known time has a deadline, which does not outlive it, and is not that of a shutdown.
func TestTurnLimited(t *testing.T) {
	var turn turn
	var nc deadlines
	start := time.Unix(1000, 0)
	turn.end(&nc, true, 3*time.Second, start)
	turn.expire(&nc, start.Add(time.Hour))
	if !turn.tooLate() || len(nc.set) != 1 || !nc.set[0].Equal(start.Add(3*time.Second)) {
		t.Errorf("too late %v, deadlines %v", turn.tooLate(), nc.set)
	}
	turn.begin(&nc)
	if len(nc.set) != 2 || !nc.set[1].IsZero() {
		t.Errorf("deadlines in the next command %v", nc.set)
	}
	turn.end(&nc, true, 3*time.Second, start)
	turn.stop(&nc)
	if turn.tooLate() || !turn.draining() {
		t.Error("a shutdown is taken for a client that is too late")
	}
	turn.end(&nc, true, 0, time.Time{})
	if turn.tooLate() {
		t.Error("a limit outlives its wait")
	}
}
