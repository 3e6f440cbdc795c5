package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// rootCaps are those of a client that sends several statements at once.
const rootCaps = mysqlwire.CapProtocol41 | mysqlwire.CapSecureConnection | mysqlwire.CapPluginAuth | mysqlwire.CapTransactions |
	mysqlwire.CapMultiStatements | mysqlwire.CapMultiResults

// script runs statements as root on a connection of their own, which ends with them. It returns the results up to the
// first error. (The engine's shell would do the same, for twenty times the processor time.)
func (s *Server) script(ctx context.Context, statements string) ([]*backend.Rows, error) {
	server, err := backend.NewServer(backend.ServerConfig{
		Address: "unix:" + s.Socket(), TLS: backend.TLS{Mode: backend.TLSDisabled}, // on a socket TLS costs more than the statements
	})
	if err != nil {
		return nil, err
	}
	c, err := server.LogIn(ctx, backend.Login{User: "root", Collation: mysqlwire.CollationUTF8MB4, Capabilities: rootCaps})
	var results []*backend.Rows
	if err == nil {
		results, err = c.Script(ctx, statements)
		_, _ = c.Write(mysqlwire.AppendQuit(nil)) // or the server logs a client that broke off
		err = errors.Join(err, c.Close())
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded): // that of ctx, to the nanosecond
		err = context.DeadlineExceeded
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", s.name, err)
	}
	return results, err
}

// text is results as the engines' shells print them: one line a row, columns separated by tabs, no names.
func text(results []*backend.Rows) string {
	var lines []string
	for _, r := range results {
		for _, row := range r.Values {
			values := make([]string, len(row))
			for i, v := range row {
				values[i] = v.String
				if !v.Valid {
					values[i] = "NULL"
				}
			}
			lines = append(lines, strings.Join(values, "\t"))
		}
	}
	return strings.Join(lines, "\n")
}
