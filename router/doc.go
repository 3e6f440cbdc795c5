// Package router decides which server a statement goes to. It is pure: no
// clock, no sockets, no logger, no state, and no allocation on the path of a
// query.
//
// # The two questions
//
// [Classify] asks what a statement is, from its text and the few settings that
// change how a text reads ([Context]). The answer is a [Statement]: where it may
// go (Kind), why (Reason), whether it may write, and what it may do to the
// connection (Effects).
//
// [Decide] asks which server runs it, from the Statement, what the session must
// see ([Need]), how strict reads are ([Mode]), and a snapshot of the fleet
// ([View]). The answer is an index into the View or -1 for the primary, and a
// [Reason]:
//
//	st := router.Classify(sql, router.Context{Schema: "shop"})
//	d := router.Decide(&router.Query{Statement: st, Now: now, MaxLag: lag}, view)
//	if d.Replica < 0 {
//		// the primary; count d.Reason
//	}
//
// [ReadSettings] tells what the SET statements of a text do to system variables,
// for whoever has to know more than that they do.
//
// # The law
//
// Whatever is not proven is for the primary. A statement is a read only if
// nothing in it can write, lock, depend on one connection or describe one
// server. The primary's answer is never wrong, only dearer; so what is doubtful,
// rare, or read in different ways by different releases is not a read.
//
// # How a text is classified
//
// There is no parser. The lexer (lex.go) cuts the text into tokens as the
// servers do it, and marks texts that they would cut in different ways. The
// scanner (scan.go, calls.go, variables.go) walks over the tokens of a
// statement that starts as a read does and looks for each thing that makes it
// something else: a locking clause, INTO, DML, a user variable, a system
// variable that is not in the list of sysvars.go, a call of anything that is not
// a built-in function of functions.go, a sequence, a schema in which a server
// describes itself. What has none of these is a read.
//
// This is sound because in the grammars of MySQL and MariaDB a query expression
// can have no other effect: every other identifier, operator or clause reads.
// A text that no server accepts may be called a read; the replica then gives the
// syntax error.
//
// A text with executable comments has several readings, and is a read only if
// each of them is one (classify.go). All other statements are told by their
// first words (statements.go, show.go, set.go, define.go).
//
// # What the text does not show
//
// A view may call a function that writes, and so may a generated statement or a
// trigger: replicas must refuse writes (super_read_only, or an account without
// READ ONLY ADMIN). Context must be true: a connection whose sql_mode or
// character set is not known must not be read as if it had the defaults. The
// variables of [ReplayedVariables] must be the same on both connections of a
// client.
//
// # Adding to the tables
//
// A function may be listed as pure only if every maintained release of the
// flavor has it built in, and its answer is the same on each server with the same
// data. The tables in testdata name every statement kind; the differential test
// compares with an independent parser over the statements of MariaDB's own test
// suite, which it fetches from Debian.
package router
