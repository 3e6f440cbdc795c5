package client

import (
	"bytes"
	"testing"
)

func TestNumber(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "42": 42, "-7": -7, "1152921504606846975": 1<<60 - 1} {
		if got, ok := number([]byte(text)); !ok || got != want {
			t.Errorf("%s: got %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "1.5", "x", "99999999999999999999999"} {
		if got, ok := number([]byte(text)); ok {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func TestPackets(t *testing.T) {
	if got, want := Text("SELECT 1"), []byte("\x09\x00\x00\x00\x03SELECT 1"); !bytes.Equal(got, want) {
		t.Errorf("text: got %q, want %q", got, want)
	}
	got := Execute(5, 258)
	want := []byte("\x16\x00\x00\x00\x17\x05\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x08\x00\x02\x01\x00\x00\x00\x00\x00\x00")
	if !bytes.Equal(got, want) {
		t.Errorf("execute: got %q, want %q", got, want)
	}
}
