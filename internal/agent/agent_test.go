// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestPlatformOf(t *testing.T) {
	for _, tt := range []struct {
		name, os, arch, machine string
		want                    Platform
		ok                      bool
	}{
		{"Raspberry Pi 5", "linux", "arm64", "aarch64", Platform{"linux", "arm64"}, true},
		{"Raspberry Pi 3, 32-bit", "linux", "arm", "armv7l", Platform{"linux", "arm"}, true},
		{"32-bit on a 64-bit kernel", "linux", "arm", "armv8l", Platform{"linux", "arm"}, true},
		{"Raspberry Pi Zero", "linux", "arm", "armv6l", Platform{}, false},
		{"PC", "linux", "amd64", "x86_64", Platform{"linux", "amd64"}, true},
		{"this machine", runtime.GOOS, runtime.GOARCH, runtime.GOARCH, Platform{runtime.GOOS, runtime.GOARCH}, true},
		{"router", "linux", "mips", "mips", Platform{}, false},
		{"nothing", "", "", "", Platform{}, false},
	} {
		if got, err := PlatformOf(tt.os, tt.arch, tt.machine); (err == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

func TestInFolder(t *testing.T) {
	dir := t.TempDir()
	here := Platform{runtime.GOOS, runtime.GOARCH}
	if _, err := inFolder(dir, here); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	put := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	plain := "edgenas-agent"
	if runtime.GOOS == "windows" {
		plain += ".exe"
	}
	put(plain)
	put("edgenas-agent-linux-arm")
	for p, want := range map[Platform]string{here: plain, {"linux", "arm"}: "edgenas-agent-linux-arm",
		{"plan9", "arm64"}: ""} {
		if data, err := inFolder(dir, p); string(data) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v: want %q", p, data, err, want)
		}
	}
	put(here.file())
	if data, err := inFolder(dir, here); string(data) != here.file() {
		t.Errorf("%q, %v: want that with its platform in its name", data, err)
	}
}

// The agents for boards are built from this source, checked, and are in the
// user's cache folder then.
func TestBuild(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Platform{{"linux", "arm64"}, {"linux", "arm"}} {
		program, err := build(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(program, p); err != nil {
			t.Error(err)
		}
		for _, other := range []Platform{{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "arm"}} {
			if err := check(program, other); (err == nil) != (p == other) {
				t.Errorf("the program for %s as one for %s: %v", p, other, err)
			}
		}
		if kept, err := os.ReadFile(filepath.Join(cache, "edgenas", p.file())); err != nil || !bytes.Equal(kept, program) {
			t.Errorf("%s is not in the cache folder: %v", p, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "edgenas", "build-*")); left != nil {
		t.Errorf("%q are left", left)
	}
}

// A folder that claims to be this module is not built, even if the program
// stands in it and was built without paths.
func TestFindSource(t *testing.T) {
	claims := t.TempDir()
	if err := os.WriteFile(filepath.Join(claims, "go.mod"), []byte("module "+module+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(claims)
	dir, err := findSource(t.Context(), "go", module+"/internal/agent/build.go") // as with -trimpath
	if err == nil || !strings.Contains(err.Error(), "make dist") {
		t.Errorf("%s, %v: want no source", dir, err)
	}
	dir, err = findSource(t.Context(), "go", filepath.Join(claims, "internal", "agent", "build.go"))
	if err != nil || dir != claims {
		t.Errorf("%s, %v: want %s, where it was built", dir, err, claims)
	}
}

func TestCheck(t *testing.T) {
	p := Platform{"linux", "arm64"}
	for name, tt := range map[string]struct {
		program []byte
		want    string
	}{
		"empty":  {nil, "not a program"},
		"script": {[]byte("#!/bin/sh\n"), "not a program"},
		"large":  {make([]byte, MaxBytes+1), "at most"},
	} {
		if err := check(tt.program, p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v: want %q", name, err, tt.want)
		}
	}
}

// Where there is none, each place says why.
func TestFindNone(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, _, err := Find(t.Context(), Platform{"linux", "arm64"})
	for _, want := range []string{"none for linux/arm64", "beside this program: ",
		"built from source: there is no Go here"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Find(ctx, Platform{"linux", "arm64"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want the interruption", err)
	}
}

func TestIsModule(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]bool{"module " + module + "\n\ngo 1.26\n": true,
		"module example.org/other\n": false, "": false} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := isModule(dir); got != want {
			t.Errorf("%q: %v", content, got)
		}
	}
}
