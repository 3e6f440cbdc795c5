// Package lag measures how stale reads are: t-visibility, the probability that a read t after an acknowledged write sees
// it (Bailis et al., "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012).
//
// One writer counts a row of the primary up, 1, 2, 3 and so on, at random intervals. For every replica a reader asks for
// the number as fast as it is answered while a write is not there yet, and more slowly (every 2 ms, or a twentieth of
// the write's age) when that takes long. Replicas show the changes of one row in their order, so a read that sees 7 also
// has 6, and one reader follows all writes that are under way. From that, each write has an age at each replica: the
// time from the moment its acknowledgement arrived to the moment the first read that saw it was sent. That read says
// that the write was visible by then; it may have been a little earlier, so staleness is never understated, by at most
// the time between two reads, which is reported as the resolution.
//
// All times are those of one process's monotonic clock: the clocks of the servers do not matter.
//
// What is counted at a time t: a write is fresh when its age is at most t, and stale when it is more. A write that was
// not seen before the end counts as stale up to the age of the last read that missed it, and not at all beyond.
//
// Writes of the same moment share their luck: the band around the curve is Wilson's with the number of probes divided by
// the design effect, which compares the seconds of the run with each other.
package lag
