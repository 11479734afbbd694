// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// checkNames refuses what is no plain name, so that nothing can leave the
// device's folder.
func checkNames(names ...string) error {
	for _, n := range names {
		if !nameSyntax.MatchString(n) {
			return fmt.Errorf("devices: file name %q: want [A-Za-z0-9._-], at most 100, not beginning with a dot or a dash", n)
		}
	}
	return nil
}

// digest is the SHA-256 of data in hexadecimal.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// contentName is the name under which content with that digest is pushed.
func contentName(base, sum string) (string, error) {
	name := base + "-" + sum[:32]
	return name, checkNames(base, name)
}
