// Package report is what a laboratory run leaves behind: a value with every figure, the versions, the machine and the
// command that repeats it, which becomes a JSON file, a table for a terminal, or a page to look at; and what changed
// between two such files.
package report
