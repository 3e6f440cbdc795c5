// Package stats is the arithmetic behind the laboratory's figures: shares with a confidence band that knows that
// neighbouring probes are not independent, quantiles with theirs, figures of repeated rounds with their spread, and
// whether two such figures differ by more than noise.
package stats
