// Package lab has the servers of a laboratory run: private ones that are started for it, with a lag that can be set, or
// the user's own, of which it is checked first that they are what they should be.
//
// On either it writes in the schema [Schema] only, which it makes and removes again. A lock by that name on the primary
// keeps two runs from each other.
package lab
