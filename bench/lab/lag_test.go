package lab

import (
	"strings"
	"testing"
	"time"
)

func TestParseLag(t *testing.T) {
	for _, row := range []struct {
		text string
		want Lag
		how  string
	}{
		{"", Lag{}, "none but the replicas' own"},
		{"50ms", Lag{Delay: 50 * time.Millisecond}, "by a network"},
		{"1.5s", Lag{Delay: 1500 * time.Millisecond}, "by a network"},
		{"2s", Lag{Delay: 2 * time.Second}, "by the servers' own delay"},
		{"freeze:3s", Lag{Freeze: 3 * time.Second}, "stops applying for 3s"},
	} {
		got, err := ParseLag(row.text)
		if err != nil || got != row.want {
			t.Errorf("%q: got %+v, %v", row.text, got, err)
		}
		if again, err := ParseLag(got.String()); err != nil || again != got {
			t.Errorf("%q becomes %q", row.text, got.String())
		}
		if how := got.describe(); !strings.Contains(how, row.how) {
			t.Errorf("%q: %s", row.text, how)
		}
	}
	for _, text := range []string{"soon", "-1s", "freeze:", "freeze:0s", "freeze:-2s", "3h", "5"} {
		if got, err := ParseLag(text); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}
