// SPDX-License-Identifier: Apache-2.0

// Package atomicfile writes files that are whole or not there: a crash or a
// full disk never leaves half a file under the real name.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// Write puts data at path: it writes a hidden temporary file in the same
// folder, syncs it, renames it and syncs the folder. A new file has mode 0666
// less the umask; an old one is replaced but keeps its mode. A symbolic link
// is followed. What is no file (a terminal, a pipe, /dev/null) cannot be
// replaced and is written to as it is.
//
// On an error, which names path, the old file is untouched and the temporary
// one is gone.
func Write(path string, data []byte) error {
	if err := write(path, data); err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // the temporary name tells a reader nothing
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func write(path string, data []byte) error {
	mode, keep := fs.FileMode(0o666), false
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return writeTo(path, os.O_WRONLY, data, false)
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
		mode, keep = info.Mode().Perm(), true
	}
	temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%08x", filepath.Base(path), rand.Uint32()))
	err := writeTo(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, data, true)
	if err == nil && keep {
		err = os.Chmod(temp, mode)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrExist) { // then it is another's
			os.Remove(temp)
		}
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func writeTo(path string, flag int, data []byte, sync bool) error {
	f, err := os.OpenFile(path, flag, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncFolder makes the rename last; Windows cannot, and need not.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
