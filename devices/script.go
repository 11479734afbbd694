// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"strconv"
	"strings"
)

// What runs in a device's shell is all here. It is POSIX shell with the few
// commands that busybox and Android's toybox have too.

// quote makes one word of shell of any text without NUL. Backslashes stand
// outside of the quotes, where all shells agree on them.
func quote(s string) string {
	return "'" + quoter.Replace(s) + "'"
}

var quoter = strings.NewReplacer(`'`, `'\''`, `\`, `'\\'`)

// quoteAll quotes each word.
func quoteAll(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quote(w))
	}
	return b.String()
}

// Exit statuses of scripts whose cause the caller wants to know.
const (
	exitAbsent  = 44
	exitCorrupt = 45
	exitClaimed = 46
)

// killing defines end, which sends a signal to a program of ours in the folder
// $d and to what it has started: its group, which may outlive it, or where the
// ssh server makes none (dropbear) its children. The process id is looked at
// first: it may be another's by now. One that has ended says nothing.
const killing = `end() {
case $2 in ""|0*|*[!0-9]*) return 0;; esac
if ! grep -qF "$d/" "/proc/$2/cmdline" && grep -q . "/proc/$2/cmdline"; then return 0; fi
kill "-$1" "-$2" || { pkill "-$1" -P "$2"; kill "-$1" "$2"; }
} 2>/dev/null
`

// guardScript holds the device for its owner. Its arguments are the owner, the
// owner whose lock may be taken over, and the folders that ours may be in. It
// says what it knows of the device, then "ready", and stays as long as its
// input does. When that ends, because the owner closed it or the connection
// broke, it kills what runs; when the last line was "remove", it removes the
// folder.
//
// Guards may come and go at once: of a host whose connection broke while it
// opened the device, one may still be on its way. So each folder is tried
// twice, a folder is moved away before it is removed, and "again" is said when
// lock or folder went away meanwhile.
//
// The lock holds this shell's process id, what tells this boot from others,
// and the owner. A program looks for the file .live-PID after it has written
// its own process id, and the guard removes that file before it looks for
// those: so none begins unseen after the guard has ended.
const guardScript = killing + `
owner=$1 take=$2; shift 2; umask 077
use() {
d=$1/edgenas-device
[ ! -L "$d" ] && { mkdir "$d" || [ -d "$d" ]; } && cd "$d" && [ -O . ] && chmod 700 . &&
echo "exit 0" >.probe-$$ && chmod 700 .probe-$$ && ./.probe-$$
}
d=
for p; do { use "$p" || use "$p"; } 2>/dev/null && break; d=; done
[ "$d" ] || { echo unusable=yes; exit 0; }
rm -f .probe-$$; d=$(pwd); echo "dir=$d"
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
reap() {
for f in .run-*; do [ -f "$f" ] || continue; read -r p <"$f"; end KILL "$p"; rm -f "$f"; done
}
b=none
if [ -f .lock ]; then
{ read -r p; read -r b; read -r o; } <.lock
case $p in ""|0*|*[!0-9]*) p=0 b=none;; esac
if [ "$b" = "$boot" ] && [ "$o" != "$take" ] && kill -0 "$p" 2>/dev/null; then echo "busy=$o"; exit 0; fi
mv .lock .stale-$$ 2>/dev/null || { echo again=yes; exit 0; }
{ read -r x; read -r x; read -r x; } <.stale-$$
[ "$x" = "$o" ] || { mv .stale-$$ .lock; echo "busy=$x"; exit 0; }
rm -f .stale-$$
[ "$b" != "$boot" ] || kill -KILL "$p" 2>/dev/null
fi
set -C
printf "%s\n" $$ "$boot" "$owner" 2>/dev/null >.lock
set +C
p= o=; { read -r p; read -r x; read -r o; } 2>/dev/null <"$d/.lock"
[ "$p" = $$ ] || { [ "$o" ] && echo "busy=$o" || echo again=yes; exit 0; }
rm -f .live-*
[ "$b" != "$boot" ] || reap
rm -rf .run-* .push-* .probe-* "$d".gone.*
>.live-$$; echo "guard=$$"
echo "os=$(uname -s)"; echo "machine=$(uname -m)"; echo "kernel=$(uname -r)"; echo "node=$(uname -n)"
command -v sha256sum >/dev/null && echo hashes=yes
command -v getprop >/dev/null && echo android=yes
echo ready
trap : HUP INT TERM PIPE
last=
while read -r line; do last=$line; done
read -r p <.lock; [ "$p" = $$ ] || exit 0
rm -f .live-$$
reap
[ "$last" = remove ] || { rm -f .lock; cd / && rmdir "$d" 2>/dev/null; exit 0; }
cd / && mv "$d" "$d.gone.$$" && rm -rf "$d.gone.$$"
`

// guardLine is the guard's command line.
func guardLine(owner, take string, parents []string) string {
	return "set -- " + quoteAll([]string{owner, take}) + " " + strings.Join(parents, " ") + "\n" + guardScript
}

// runLine starts a program in the folder for that guard; its process id is in
// the file .run-ID. With one id it starts once: the second time ends with
// exitClaimed.
func runLine(dir, guard, id string, c Command) string {
	return "cd " + quote(dir) + " || exit 126; set -C; echo $$ >.run-" + id + " || { [ -s .run-" + id + " ] && exit " +
		strconv.Itoa(exitClaimed) +
		"; exit 126; }; set +C; [ -f .live-" + guard + " ] || exit 126\nexec " +
		quoteAll(append([]string{dir + "/" + c.Name}, c.Args...))
}

// killLine ends the program with that id: it asks, and if that does not help
// within a second, it does not ask any more.
func killLine(dir, id string) string {
	return "d=" + quote(dir) + "; f=.run-" + id + "\n" + killing +
		`cd "$d" || exit 0; [ -f "$f" ] || sleep 1; read -r p <"$f"
end TERM "$p"; sleep 0.1 2>/dev/null || sleep 1; [ ! -d "/proc/$p" ] || sleep 1; end KILL "$p"; rm -f "$f"`
}

// hashLine prints the SHA-256 of a file, or ends with exitAbsent.
func hashLine(dir, name string) string {
	return "cd " + quote(dir) + " || exit 1; [ -f " + name + " ] || exit " + strconv.Itoa(exitAbsent) + "; sha256sum <" +
		name
}

// adoptLine gives a file that was put there its name. With a digest it is
// checked first; a wrong one ends with exitCorrupt.
func adoptLine(dir, temp, name, sum string) string {
	s := "cd " + quote(dir) + " || exit 1\n"
	if sum != "" {
		s += "case $(sha256sum <" + temp + ") in " + sum + "*) ;; *) rm -f " + temp + "; exit " + strconv.Itoa(exitCorrupt) +
			";; esac\n"
	}
	return s + "chmod 700 " + temp + " && mv -f " + temp + " " + name
}

// sizeLine prints a file's size in bytes, or ends with exitAbsent.
func sizeLine(dir, name string) string {
	return "cd " + quote(dir) + " || exit 1; [ -f " + name + " ] || exit " + strconv.Itoa(exitAbsent) + "; wc -c <" + name
}

// removeLine removes files.
func removeLine(dir string, names []string) string {
	return "cd " + quote(dir) + " && rm -f " + strings.Join(names, " ")
}

// freeLine prints the folder's file system as df does.
func freeLine(dir string) string { return "df -Pk " + quote(dir) }

// parseFree reads the free bytes from df's last line; ok is false when it is
// none.
func parseFree(out string) (free int64, ok bool) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	f := strings.Fields(lines[len(lines)-1])
	if len(f) < 6 {
		return 0, false
	}
	k, err := strconv.ParseInt(f[3], 10, 53)
	return k * 1024, err == nil && k >= 0
}
