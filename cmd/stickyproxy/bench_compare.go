package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/bench/report"
)

func newBenchCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare BEFORE.json AFTER.json",
		Short: "Tell what changed between two reports, and whether that is more than noise",
		Long: `Compare two files that bench lag, policies or load wrote with --json. Whether a
difference is more than noise is judged by the rounds of both runs (rank test of
Wilcoxon, Mann and Whitney), which takes at least four rounds on each side.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{err: fmt.Errorf("%d files are given; name two, the earlier one first", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := report.ReadFile(args[0])
			if err != nil {
				return err
			}
			after, err := report.ReadFile(args[1])
			if err != nil {
				return err
			}
			c, err := report.Compare(before, after)
			if err != nil {
				return err
			}
			c.Table(cmd.OutOrStdout())
			return nil
		},
	}
}
