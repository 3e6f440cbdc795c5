// Package fakeserver is a scripted MySQL server for unit tests of whoever talks to one. It lets a
// client log in, hands each command to a function, and writes whatever that function says, right
// or wrong. It is written on its own, without the program's protocol code, so that a
// misunderstanding of the protocol is not made on both sides.
//
//	s := fakeserver.Start(t, fakeserver.Options{
//		Users: map[string]string{"app": "secret"},
//		Handler: func(c *fakeserver.Conn, cmd fakeserver.Command) error {
//			if cmd.SQL == "SELECT 1" {
//				return c.Rows([]string{"1"}, [][]any{{"1"}}, fakeserver.OK{})
//			}
//			return fakeserver.Default(c, cmd)
//		},
//	})
//	conn, err := net.Dial("tcp", s.Addr())
//
// A handler that returns an error ends the connection there: before the first byte of a response,
// between two rows, or, with [Conn.CloseAfter], in the middle of a packet. [Options.Greet] and
// [Raw] are for servers that hang or send garbage; [Options.Wrap] takes a faultyconn.
// [Server.Push] sends an error while nobody asks.
package fakeserver
