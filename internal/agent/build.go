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
	_, file, _, _ := runtime.Caller(0)
	source, err := findSource(ctx, goTool, file)
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

// findSource returns the folder of this program's source: that in which file,
// one of this package as the compiler saw it, lies, or else this version from
// the module proxy. What is shipped to a device is never looked for elsewhere:
// any folder can claim to be this module.
func findSource(ctx context.Context, goTool, file string) (string, error) {
	if dir := filepath.Join(filepath.Dir(file), "..", ".."); isModule(dir) {
		return dir, nil
	}
	return download(ctx, goTool)
}

// download returns the folder of this version in the module cache, where the
// module proxy's copy is put, and verified, first.
func download(ctx context.Context, goTool string) (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != module || !versionSyntax.MatchString(info.Main.Version) {
		return "", errors.New("its source is not where it was built: put the agent beside edgenas (make dist), " +
			"or install a released version (go install " + module + "/cmd/edgenas@latest)")
	}
	cmd := exec.CommandContext(ctx, goTool, "mod", "download", "-json", module+"@"+info.Main.Version)
	cmd.Dir = os.TempDir() // a go.mod or go.work here says nothing of that version
	text, err := cmd.Output()
	var found struct{ Dir, Error string }
	json.Unmarshal(text, &found) // if it fails there is no folder
	if found.Dir == "" {
		return "", fmt.Errorf("its source cannot be had: go mod download %s@%s: %v %s", module, info.Main.Version, err,
			found.Error)
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
