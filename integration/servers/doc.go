// Package servers tests on real servers what stands behind the proxy: package backend, which logs in to them, keeps apart
// who they are and knows what they have, and package doctor, which tells what is wrong with how they are set up.
package servers
