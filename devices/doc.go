// SPDX-License-Identifier: Apache-2.0

// Package devices runs programs elsewhere: on this machine, on a board over
// ssh, on a phone over adb. Nothing has to be installed there.
//
// [Open] takes the address that the command line has and gives a [Device]: a
// folder on the other machine in which files are put, programs run and results
// fetched. Whoever opened a device is its owner until [Device.Close]; a second
// host is told who it is. Afterwards nothing is left, neither file nor process.
//
// A device is not trusted. Its output is bounded, its files are fetched up to
// a limit, and files there have plain names in one folder, never paths.
//
// A connection that breaks is [ErrLost]. The device's files are still there:
// open it again and go on, or let [Retry] do so.
//
// The package knows no operation and no latency.
package devices
