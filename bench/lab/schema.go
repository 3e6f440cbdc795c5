package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// settleLimit is how long replicas may take to have what was made for a run.
const settleLimit = 2 * time.Minute

// marker is a table by which a schema that was left behind is known to be ours.
const marker = "laboratory"

// makeSchema makes the schema. One that a run left behind which was killed is replaced; one by the same name that
// somebody else made is not touched.
func (l *Lab) makeSchema(ctx context.Context) error {
	err := l.guard.Exec(ctx, "CREATE DATABASE "+Schema+" CHARACTER SET utf8mb4")
	if code(err) == mysql.ER_DB_CREATE_EXISTS {
		if err := l.replace(ctx); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("make the schema %s: %w%s", Schema, err, hint(err))
	}
	l.made = true
	for _, statement := range []string{
		"USE " + Schema,
		"CREATE TABLE " + marker + " (run VARCHAR(64) PRIMARY KEY, n BIGINT)",
		"INSERT INTO " + marker + " VALUES ('" + l.run + "', 0)",
	} {
		if err := l.guard.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the schema %s: %w%s", Schema, err, hint(err))
		}
	}
	return nil
}

// replace makes a schema again that a run left behind.
func (l *Lab) replace(ctx context.Context) error {
	if err := l.guard.Exec(ctx, "SELECT run FROM "+Schema+"."+marker+" LIMIT 1"); err != nil {
		return fmt.Errorf("the schema %s exists and was not made by the laboratory; drop or rename it: %w", Schema, err)
	}
	return l.Exec(ctx, "DROP DATABASE "+Schema, "CREATE DATABASE "+Schema+" CHARACTER SET utf8mb4")
}

func (l *Lab) removeSchema(ctx context.Context) error {
	if err := l.guard.Exec(ctx, "DROP DATABASE IF EXISTS "+Schema); err != nil {
		return fmt.Errorf("the schema %s could not be removed; drop it: %w", Schema, err)
	}
	return nil
}

// code is the number of a server's refusal, 0 of other errors.
func code(err error) uint16 {
	var refused *mysqlwire.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return 0
}

// hint says what a refusal calls for.
func hint(err error) string {
	switch code(err) {
	case mysql.ER_DBACCESS_DENIED_ERROR, mysql.ER_TABLEACCESS_DENIED_ERROR:
		return "; GRANT ALL ON " + Schema + ".* to the account"
	case mysql.ER_OPTION_PREVENTS_STATEMENT:
		return "; name the server that takes writes as the primary"
	}
	return ""
}

// errElsewhere says what is wrong with a replica that never gets what was written.
var errElsewhere = errors.New("it does not have what was written on the primary: does it follow that primary, and does no filter leave the schema " + Schema + " out?")

// Settle waits until all replicas have what was written so far.
func (l *Lab) Settle(ctx context.Context) error {
	if err := l.Exec(ctx, "UPDATE "+Schema+"."+marker+" SET n = n + 1"); err != nil {
		return err
	}
	rows, err := l.guard.Query(ctx, "SELECT n FROM "+Schema+"."+marker)
	if err != nil {
		return err
	}
	sql := fmt.Sprintf("SELECT n FROM %s.%s WHERE run='%s' AND n >= %s", Schema, marker, l.run, rows.Values[0][0].String)
	ctx, cancel := context.WithTimeoutCause(ctx, settleLimit, errElsewhere)
	defer cancel()
	for _, r := range l.Replicas {
		if err := await(ctx, r, sql); err != nil {
			return fmt.Errorf("replica %s: %w", r.Address, err)
		}
	}
	return nil
}

// await asks a server until there is a row. That the schema is not there yet is no error.
func await(ctx context.Context, e client.Endpoint, sql string) error {
	c, err := client.Dial(ctx, e, client.Modern)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		rows, err := c.Query(ctx, sql)
		switch no := code(err); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case no == mysql.ER_NO_SUCH_TABLE || no == mysql.ER_BAD_DB_ERROR:
		case no == mysql.ER_TABLEACCESS_DENIED_ERROR || no == mysql.ER_DBACCESS_DENIED_ERROR:
		case err != nil:
			return err
		case len(rows.Values) > 0:
			return nil
		}
		sleep(ctx, 20*time.Millisecond)
	}
}
