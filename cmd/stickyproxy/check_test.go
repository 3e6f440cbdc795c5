package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stickyproxy/stickyproxy/doctor"
)

// Ensure that findings are printed whole, for people and for scripts, and that the exit status tells of errors.
func TestCheckCommand(t *testing.T) {
	primary := closedPort(t)
	for _, row := range []struct {
		name   string
		args   []string
		status int
		stdout []string
	}{
		{"nobody there", []string{"--primary", primary, "--monitor-user", "m"}, exitFailure, []string{"error  " + primary + "  reach  connecting to ", "connection refused -> start the server, or correct its address\n"}},
		{"no monitor", []string{"--primary", primary, "--replica", "127.0.0.1:1"}, exitFailure, []string{"monitor", "--monitor-user"}},
		{"no monitor, no replicas", []string{"--primary", primary}, exitOK, []string{"warning"}},
		{"JSON", []string{"--primary", primary, "--monitor-user", "m", "--json"}, exitFailure, []string{`"severity": "error"`, `"check": "reach"`, `"error": 1`, `"warning": 0`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv(monitorPasswordVariable, "secret")
			status, stdout, stderr := runCommand(t, "", append([]string{"check"}, row.args...)...)
			if status != row.status || (stderr == "") != (status == exitOK) {
				t.Errorf("got %d, %q", status, stderr)
			}
			for _, want := range row.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("got %s\nwant it to contain %s", stdout, want)
				}
			}
		})
	}
}

// Ensure that an object with no finding has a list all the same.
func TestEncodeFindings(t *testing.T) {
	var out bytes.Buffer
	if err := encodeFindings(&out, []doctor.Finding{}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Findings []doctor.Finding
		Count    map[string]int
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Findings == nil || len(got.Count) != 3 {
		t.Errorf("got %s, %v", out.String(), err)
	}
}

// Ensure that what is found while the proxy runs is logged once, and again only when it has changed.
func TestWard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := doctor.Finding{Severity: doctor.Error, Server: "r:1", Check: "reach", Found: "nobody is there", Advice: "start it"}
		weak := doctor.Finding{Severity: doctor.Warning, Server: "r:1", Check: "read_only", Found: "it is writable", Advice: "SET"}
		well := doctor.Finding{Severity: doctor.OK, Server: "p:1", Check: "gtid", Found: "all is well"}
		visits := [][]doctor.Finding{{well, away}, {well, away}, {well, weak}, {well, weak}, {well}}
		logged := new(syncBuffer)
		w := &ward{logger: newLogger(Log{}, logged), examine: func(context.Context) []doctor.Finding {
			next := visits[0]
			visits = visits[min(1, len(visits)-1):]
			return next
		}}
		if w.problems() != nil {
			t.Error("problems before the first look")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go w.run(ctx)
		synctest.Wait()
		if got := w.problems(); len(got) != 1 || got[0].Check != "reach" || got[0].Severity != "error" {
			t.Errorf("after the first look: %v", got)
		}
		time.Sleep(2 * examineSoon) // on the bubble's clock
		synctest.Wait()
		if got := w.problems(); len(got) != 1 || got[0].Check != "read_only" {
			t.Errorf("after it was started: %v", got)
		}
		time.Sleep(3 * examineEvery)
		synctest.Wait()
		if got := w.problems(); len(got) != 0 {
			t.Errorf("after it was mended: %v", got)
		}
		cancel()
		synctest.Wait()
		log := logged.String()
		for text, want := range map[string]int{
			`level=ERROR msg="finding: nobody is there"`: 1, `"finding is no more: nobody is there"`: 1,
			`level=WARN msg="finding: it is writable"`: 1, `"finding is no more: it is writable"`: 1, "all is well": 0,
		} {
			if got := strings.Count(log, text); got != want {
				t.Errorf("%s: logged %d times, want %d:\n%s", text, got, want, log)
			}
		}
	})
}
