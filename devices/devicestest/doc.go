// SPDX-License-Identifier: Apache-2.0

// Package devicestest tests devices and what uses them.
//
// [Run] is the suite that every device must pass. [SSH] and [ADB] are servers
// in this process, which stand in for a board and for a phone with its adb
// server; [ADBD] is a phone alone, for the adb server of the machine. They run
// what they are asked to on this machine, in real processes and files. A
// [Cable] is a connection that can be cut.
package devicestest
