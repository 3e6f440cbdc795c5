package backend

import (
	"context"
	"net"
	"time"
)

// longAgo as a deadline ends what waits on a connection now.
var longAgo = time.Unix(1, 0)

// bound lets ctx end the reads and writes on c until release is called, which takes their error and returns what to
// report: the reason why ctx ended when it did, else err. After an error the connection is in no known state.
func bound(ctx context.Context, c net.Conn) (release func(err error) error) {
	if d, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(d)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	return func(err error) error {
		if !stop() {
			return cause(ctx, ctx.Err())
		}
		if err == nil {
			err = c.SetDeadline(time.Time{})
		}
		return err
	}
}

// cause is why ctx ended, or err when it did not.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
