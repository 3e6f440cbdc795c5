package bench

import "testing"

// A figure is judged by its median, against a limit or another proxy's figure; what cannot be judged is not praised.
func TestVerdict(t *testing.T) {
	relative := goal{limit: 1.2, times: "HAProxy"}
	tests := []struct {
		name   string
		goal   goal
		values map[string][]float64
		want   string
	}{
		{"below a limit", goal{limit: 12}, map[string][]float64{ours: {11}}, "reached"},
		{"above a limit", goal{limit: 12}, map[string][]float64{ours: {18}}, "FALLS SHORT: 1.50 of it"},
		{"median", goal{limit: 12}, map[string][]float64{ours: {99, 11, 1}}, "reached"},
		{"relative", relative, map[string][]float64{ours: {12}, "HAProxy": {10}}, "reached"},
		{"relative, above", relative, map[string][]float64{ours: {18}, "HAProxy": {10}}, "FALLS SHORT: 1.50 of it"},
		{"no peer", relative, map[string][]float64{ours: {18}}, "nothing to compare with: HAProxy is not installed"},
		{"at least", goal{limit: 1, times: "HAProxy", atLeast: true}, map[string][]float64{ours: {9}, "HAProxy": {10}}, "FALLS SHORT: 0.90 of it"},
		{"at least, more", goal{limit: 1, times: "HAProxy", atLeast: true}, map[string][]float64{ours: {11}, "HAProxy": {10}}, "reached"},
		{"not measured", goal{limit: 1}, nil, "not measured"},
	}
	for _, test := range tests {
		f := figure{goal: test.goal, values: test.values}
		if got := f.verdict(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
