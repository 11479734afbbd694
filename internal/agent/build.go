// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
)

const module = "github.com/edgenas/edgenas"

// build builds it with the user's Go into the user's cache folder. Go itself
// knows what has to be built again.
func build(ctx context.Context, p Platform) ([]byte, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return nil, fmt.Errorf("there is no Go here to build it with (go.dev/dl): %w", err)
	}
	source, err := findSource(ctx, goTool)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "edgenas")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(dir, "build-") // others may build at this moment
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	out := filepath.Join(temp, p.file())
	cmd := exec.CommandContext(ctx, goTool, "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./cmd/edgenas-agent")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "GOARM=7", "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(text))
	}
	program, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return program, os.Rename(out, filepath.Join(dir, p.file()))
}

// findSource is the folder of this program's source: where it was built, the
// module that this process stands in, or this version from the module proxy.
func findSource(ctx context.Context, goTool string) (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && isModule(filepath.Join(filepath.Dir(file), "..", "..")) {
		return filepath.Clean(filepath.Join(filepath.Dir(file), "..", "..")), nil
	}
	if dir, err := os.Getwd(); err == nil {
		for ; ; dir = filepath.Dir(dir) {
			if isModule(dir) {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != module || !versionSyntax.MatchString(info.Main.Version) {
		return "", errors.New("its source is not here: run edgenas in its source folder, or put the agent beside it (make dist)")
	}
	text, err := exec.CommandContext(ctx, goTool, "mod", "download", "-json", module+"@"+info.Main.Version).Output()
	var found struct{ Dir, Error string }
	json.Unmarshal(text, &found) // if it fails there is no folder
	if found.Dir == "" {
		return "", fmt.Errorf("its source cannot be had: go mod download %s@%s: %v %s", module, info.Main.Version, err, found.Error)
	}
	return found.Dir, nil
}

// versionSyntax is a version that can be downloaded: neither (devel) nor +dirty.
var versionSyntax = regexp.MustCompile(`^v[0-9][0-9A-Za-z.-]*$`)

// isModule says whether a folder is the root of this module's source.
func isModule(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	first, _, _ := strings.Cut(string(text), "\n")
	return err == nil && strings.TrimSpace(first) == "module "+module && filepath.IsAbs(dir)
}
