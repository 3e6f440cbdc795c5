package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/doctor"
	"github.com/stickyproxy/stickyproxy/router"
)

// errFindings makes the exit status tell that something is wrong; the findings have been printed.
var errFindings = errors.New("the servers are not set up as the proxy needs them: see the findings of severity error")

func newCheckCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "check [--config FILE] [flags]",
		Short: "Look whether the servers are set up as the proxy needs them",
		Long: `Log in to every server with the monitor account, look whether it is set up so that
the proxy can keep its promise, and say what is not and what to do about it. It
takes the settings of serve, starts nothing and writes nothing to the servers.

Each finding is a line: ok, warning (it works, but worse or less safely than it
could) or error (the server is not used, or reads there may be wrong), the server,
what was looked at, what was found, and after the arrow what to do. The exit status
is 0 if nothing is an error, else 1. With --json standard output is one object with
the list.`,
		Example: `  stickyproxy check --primary 10.0.0.1:3306 --replica 10.0.0.2:3306 --monitor-user sticky
  stickyproxy check --config /etc/stickyproxy.yaml --json`,
		Args: noArguments,
	}
	flags := addServeFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := loadConfig(flags, os.LookupEnv)
		if err != nil {
			return err
		}
		options, err := config.examination()
		if err != nil {
			return err
		}
		findings := doctor.Examine(cmd.Context(), options)
		show := showFindings
		if asJSON {
			show = encodeFindings
		}
		if err := show(cmd.OutOrStdout(), findings); err != nil {
			return fmt.Errorf("writing the findings: %w", err)
		}
		if doctor.Worst(findings) == doctor.Error {
			return errFindings
		}
		return nil
	}
	return cmd
}

// examination is what the doctor looks at.
func (c *Config) examination() (doctor.Options, error) {
	o := doctor.Options{Accounts: c.accounts()}
	var err error
	if o.Primary, err = c.Primary.backend(); err != nil {
		return o, err
	}
	for _, r := range c.Replicas {
		server, err := r.backend()
		if err != nil {
			return o, err
		}
		o.Replicas = append(o.Replicas, server)
	}
	if m := c.Monitor; m != nil {
		o.Monitor = &backend.Account{User: m.Name, Password: m.Password}
	}
	for _, l := range c.Listeners {
		o.GTIDOnly = o.GTIDOnly || l.Mode == router.GTID
	}
	return o, nil
}

// showFindings prints a line for each finding.
func showFindings(out io.Writer, findings []doctor.Finding) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s", f.Severity, f.Server, f.Check, f.Found)
		if f.Advice != "" {
			fmt.Fprintf(w, " -> %s", f.Advice)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// encodeFindings prints one JSON object. Names are an interface: scripts depend on them.
func encodeFindings(out io.Writer, findings []doctor.Finding) error {
	count := map[doctor.Severity]int{doctor.OK: 0, doctor.Warning: 0, doctor.Error: 0}
	for _, f := range findings {
		count[f.Severity]++
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Findings []doctor.Finding        `json:"findings"`
		Count    map[doctor.Severity]int `json:"count"`
	}{findings, count})
}
