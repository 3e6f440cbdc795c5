package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/router"
)

// maxStatement is the longest line that explain takes from standard input: the
// largest max_allowed_packet of a server is 1 GiB, but nobody has such a line.
const maxStatement = 64 << 20

func newExplainCommand() *cobra.Command {
	var c router.Context
	cmd := &cobra.Command{
		Use:   "explain [flags] [--] 'SQL' ...",
		Short: "Tell where statements would go, and why, without any server",
		Long: `Tell where statements would go, and why, without any server.

Each statement gets one line with three columns, separated by tabs: primary or
replica, a constant for the reason, and the reason in words. The answer is for a
connection that is not in a transaction and has changed nothing, with the default
sql_mode, while every replica may be used; a statement that depends on more than
that goes to the primary.

The argument - reads statements from standard input, one a line; empty lines are
left out. After -- nothing is a flag, so that a statement may begin with a dash.`,
		Example: `  stickyproxy explain 'SELECT 1' 'SELECT 1 FOR UPDATE'
  stickyproxy explain - < statements.sql`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{err: errors.New("no statement is given; write it in quotes, or - to read from standard input")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			e := explainer{context: c, out: bufio.NewWriter(cmd.OutOrStdout())}
			return e.all(args, cmd.InOrStdin())
		},
	}
	cmd.Flags().BoolVar(&c.MariaDB, "mariadb", false, "read the statements as MariaDB does")
	cmd.Flags().BoolVar(&c.ANSIQuotes, "ansi-quotes", false, "sql_mode has ANSI_QUOTES: \"x\" is a name")
	cmd.Flags().BoolVar(&c.NoBackslashEscapes, "no-backslash-escapes", false, "sql_mode has NO_BACKSLASH_ESCAPES")
	cmd.Flags().StringVar(&c.Schema, "schema", "", "the current schema, `NAME`")
	return cmd
}

// explainer writes one line a statement.
type explainer struct {
	context router.Context
	out     *bufio.Writer
}

// all explains the arguments in their order; "-" stands for the lines of in.
func (e *explainer) all(args []string, in io.Reader) error {
	for _, arg := range args {
		if arg != "-" {
			e.statement([]byte(arg))
			continue
		}
		if err := e.lines(bufio.NewReaderSize(in, 64<<10)); err != nil {
			return err
		}
	}
	return e.flush()
}

// lines explains each line of in. It writes an answer out before it waits for
// more input, so that a person who types sees it at once.
func (e *explainer) lines(in *bufio.Reader) error {
	for {
		line, err := readLine(in)
		if len(bytes.TrimSpace(line)) > 0 {
			e.statement(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		if in.Buffered() == 0 {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
}

// readLine returns the next line without its end. The last one comes with io.EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxStatement {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxStatement)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		return bytes.TrimRight(line, "\r\n"), err
	}
}

// statement writes the line for one statement.
func (e *explainer) statement(sql []byte) {
	target, reason := router.Explain(sql, e.context)
	// A failed write is kept by the writer and seen by flush.
	fmt.Fprintf(e.out, "%s\t%s\t%s\n", target, reason, reason.Sentence())
}

func (e *explainer) flush() error {
	if err := e.out.Flush(); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}
