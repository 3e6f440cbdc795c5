package proxy

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/router"
)

// Each kind of state ends by itself, whatever else there is.
func TestHoldsEndOneByOne(t *testing.T) {
	run := func(s *state, sql string) { s.ran(router.Classify([]byte(sql), s.context), []byte(sql), false, false) }
	s := newState(&backend.Conn{Tracked: true})
	s.setVariable("profiling", "ON")
	s.setVariable("optimizer_trace", "enabled=on,one_line=off")
	run(&s, "LOCK TABLES t READ")
	s.setVariable("sql_log_bin", "OFF")
	s.setVariable("profiling", "OFF")
	if got := s.held; got != heldLocked|heldTraced|heldUnlogged {
		t.Errorf("got %b", got)
	}
	s.setVariable("sql_log_bin", "ON")
	s.setVariable("optimizer_trace", "enabled=off,one_line=off")
	if got := s.held.reason(); got != router.ReasonTablesLocked {
		t.Errorf("got %v", got)
	}
	run(&s, "UNLOCK TABLES")
	if got := s.held.reason(); got != router.ReasonNone {
		t.Errorf("got %v", got)
	}
}

// SET timestamp lasts until a statement that certainly gives the clock back.
func TestTimestampIsGivenBack(t *testing.T) {
	for _, tt := range []struct {
		sql  string
		back bool
	}{
		{"SET timestamp = DEFAULT", true},
		{"set @@SESSION.timestamp:=0;", true},
		{"SET sql_mode = ANSI, SESSION timestamp = default, a = 1", true},
		{"SET LOCAL timestamp=DEFAULT", true},
		{"SET timestamp = 0.5", false},
		{"SET timestamp = 1000000000", false},
		{"SET timestamp = DEFAULT, timestamp = 5", false},
		{"SET timestamp = DEFAULT + @timestamp", false},
		{"SET @timestamp = 0", false},
		{"SET GLOBAL timestamp = 0", false},
		{"SET a = 'x, timestamp = DEFAULT'", false},
		{"SET a = 1 /* , timestamp = DEFAULT */", false},
		{"SET STATEMENT timestamp = 0 FOR SELECT 1", false},
		{"SELECT 1, timestamp = 0", false},
		{"SET timestamp = DEFAULT; SELECT 1", false},
		{"SET timestamp = DEFAULT; SET time_zone = 'UTC'", true},
		{"SET timestamp = DEFAULT, sql_mode = '\\', timestamp = 5'", false},
	} {
		s := newState(&backend.Conn{Tracked: true})
		s.setVariable("timestamp", "1000000000")
		s.clocked(router.ReadSettings([]byte(tt.sql)))
		if got := s.held.reason() == router.ReasonNone; got != tt.back {
			t.Errorf("%s: given back: %v", tt.sql, got)
		}
	}
}

// SET @@name is not reported by MariaDB, so reads stay where it was set.
func TestUnreported(t *testing.T) {
	for _, tt := range []struct {
		sql     string
		mariaDB bool
		held    bool
		idle    time.Duration
	}{
		{sql: "SET @@time_zone = '+05:00'", mariaDB: true, held: true},
		{sql: "SET @@SESSION.time_zone = '+05:00', @@sql_mode := ''", mariaDB: true, held: true},
		{sql: "SET @@time_zone = '+05:00'"},
		{sql: "SET @@session.time_zone = '+05:00', time_zone = @@sql_mode, @@local.sql_mode = ''", mariaDB: true},
		{sql: "SET @@global.time_zone = '+05:00'", mariaDB: true},
		{sql: "SET @@autocommit = 0", mariaDB: true},
		{sql: "SET @@tx_isolation = 'READ-COMMITTED'", mariaDB: true},
		{sql: "SET @x = @@time_zone", mariaDB: true},
		{sql: "SET @@wait_timeout = 3", mariaDB: true, idle: 3 * time.Second},
		{sql: "SET @@wait_timeout = 3, @@time_zone = 'UTC'", mariaDB: true, held: true},
		{sql: "SET @@wait_timeout = 3; SELECT 1", mariaDB: true, held: true},
		{sql: "SET @@wait_timeout = DEFAULT", mariaDB: true, held: true},
	} {
		s := newState(&backend.Conn{Tracked: true})
		st := router.Classify([]byte(tt.sql), router.Context{MariaDB: tt.mariaDB})
		if st.Effects.Has(router.SetsUnreported) {
			s.unreported(router.ReadSettings([]byte(tt.sql)), false)
		}
		if held := s.held.reason() != router.ReasonNone; held != tt.held || s.patience != tt.idle {
			t.Errorf("%s: reads are held: %v, idle for %v", tt.sql, held, s.patience)
		}
	}
}
