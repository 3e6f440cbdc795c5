package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// place is where a setting was given, so that an error can name it.
type place struct {
	file         string
	line, column int    // from 1; 0: not in a file
	flag         string // "--primary"; the setting came from the command line
	key          string // "replicas[1].weight"; "" for the file as a whole
}

// String returns the place as the beginning of an error: "f.yaml:3:5: window",
// which editors and terminals turn into a link, or "--window".
func (p place) String() string {
	switch {
	case p.flag != "":
		return p.flag
	case p.file == "":
		return p.key
	case p.line == 0:
		return p.file
	case p.key == "":
		return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column)
	default:
		return fmt.Sprintf("%s:%d:%d: %s", p.file, p.line, p.column, p.key)
	}
}

// problem is one thing wrong with the configuration. The text of err says what
// to do next.
type problem struct {
	at  place
	err error
}

// Error returns the place and what is wrong there.
func (p problem) Error() string { return p.at.String() + ": " + p.err.Error() }

// Unwrap returns what is wrong, without the place.
func (p problem) Unwrap() error { return p.err }

// problems collects what is wrong, so that an operator sees all of it at once.
// The zero value is ready to use.
type problems struct {
	list []problem
}

// add notes a problem; format says what is wrong and what to do about it.
func (p *problems) add(at place, format string, args ...any) {
	p.list = append(p.list, problem{at: at, err: fmt.Errorf(format, args...)})
}

// none tells whether nothing was found.
func (p *problems) none() bool { return len(p.list) == 0 }

// err returns all problems in the order of the file, those of flags first; nil
// when there are none. It is a usageError when a flag is among them.
func (p *problems) err() error {
	if p.none() {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	usage := false
	all := make([]error, len(p.list))
	for i, one := range p.list {
		all[i] = one
		usage = usage || one.at.flag != ""
	}
	if usage {
		return usageError{err: errors.Join(all...)}
	}
	return errors.Join(all...)
}
