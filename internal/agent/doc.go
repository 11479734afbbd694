// SPDX-License-Identifier: Apache-2.0

// Package agent finds the program edgenas-agent for a device: beside this
// program, embedded in it, or built with the user's Go.
package agent
