// SPDX-License-Identifier: Apache-2.0

package devicestest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Machine is an ARM machine within this one: a root folder, mounts and process
// ids of its own, and what an ARM kernel shows in /proc and /sys. Its shell
// and tools are this machine's; ARM programs run in qemu. It shares only the
// network. Needed are root or sudo, util-linux, dash and qemu-user-static.
type Machine struct {
	// Root is its root folder as this machine sees it. Files may be changed
	// while it runs: those below /sys are what it measures of itself.
	Root string

	t testing.TB

	mu    sync.Mutex
	boots int
	init  string     // its first process, as this machine numbers it
	ended chan error // when that has ended
}

// Hardware is what a machine is made to be.
type Hardware struct {
	Arch    string // arm64, arm
	Machine string // uname -m
	Node    string // uname -n
	Kernel  string // uname -r
	// Files are added to the root folder, by path. Programs of /bin hide
	// those of the same name.
	Files map[string]string
}

// Pi is a single-board computer of two clusters, with a 64-bit or a 32-bit
// system. No such board is sold: real ones have one cluster.
func Pi(arch string) Hardware {
	h := Hardware{Arch: arch, Machine: "aarch64", Node: "raspberrypi", Kernel: "6.6.31+rpt-rpi-v8", Files: arm()}
	if arch == "arm" {
		h.Machine, h.Kernel = "armv7l", "6.6.31+rpt-rpi-v7"
	}
	h.Files["sys/firmware/devicetree/base/model"] = "Raspberry Pi 9 Model B Rev 1.0\x00"
	h.Files["sys/firmware/devicetree/base/compatible"] = "raspberrypi,9-model-b\x00brcm,bcm2999\x00"
	h.Files["bin/vcgencmd"] = "#!/bin/sh\necho throttled=0x0\n"
	return h
}

// Phone is a phone of two clusters.
func Phone() Hardware {
	h := Hardware{Arch: "arm64", Machine: "aarch64", Node: "localhost", Kernel: "5.10.157-android13-4", Files: arm()}
	h.Files["bin/getprop"] = `#!/bin/sh
cat <<END
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.product.manufacturer]: [Stand]
[ro.product.model]: [Stand In 9]
[ro.soc.manufacturer]: [Stand]
[ro.soc.model]: [S9]
END
`
	h.Files["bin/dumpsys"] = "#!/bin/sh\nexit 1\n"
	h.Files["data/local/tmp/other"] = "not ours\n"
	return h
}

// arm are the files of four processors: 0 and 2 are little, 1 and 3 big.
func arm() map[string]string {
	const cpu = "sys/devices/system/cpu/"
	files := map[string]string{
		cpu + "present": "0-3\n", cpu + "online": "0-3\n",
		"sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp": "48200\n",
	}
	var cpuinfo strings.Builder
	for i, c := range []struct {
		part, capacity string
		minKHz, maxKHz int
		related        string
	}{{"0xd05", "250", 300_000, 1_800_000, "0 2"}, {"0xd0b", "1024", 500_000, 2_400_000, "1 3"}} {
		policy := fmt.Sprintf("%scpufreq/policy%d/", cpu, i)
		for name, value := range map[string]any{"related_cpus": c.related, "scaling_governor": "schedutil",
			"scaling_cur_freq": c.maxKHz, "scaling_min_freq": c.minKHz,
			"scaling_max_freq": c.maxKHz, "cpuinfo_min_freq": c.minKHz, "cpuinfo_max_freq": c.maxKHz} {
			for _, dir := range []string{policy, fmt.Sprintf("%scpu%d/cpufreq/", cpu, i),
				fmt.Sprintf("%scpu%d/cpufreq/", cpu, i+2)} {
				files[dir+name] = fmt.Sprintln(value)
			}
		}
		for _, n := range []int{i, i + 2} {
			files[fmt.Sprintf("%scpu%d/cpu_capacity", cpu, n)] = c.capacity + "\n"
		}
	}
	for i := range 4 {
		fmt.Fprintf(&cpuinfo,
			"processor\t: %d\nBogoMIPS\t: 38.40\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU "+
				"part\t: %s\nCPU revision\t: 0\n\n",
			i, []string{"0xd05", "0xd0b"}[i%2])
	}
	files["etc/cpuinfo"] = cpuinfo.String()
	return files
}

// interpreter is /bin/sh there: dash, but exec runs programs in qemu where the
// kernel of such a machine would run them itself.
const interpreter = `#!/usr/bin/dash
run() {
case $1 in
sh) shift; exec /bin/sh "$@" ;;
/bin/*|/usr/*) ;;
/*) [ "$(head -c 4 "$1" 2>/dev/null)" != "$(printf '\177ELF')" ] || exec %s "$@" ;;
esac
exec "$@"
}
[ "$1" = -c ] || exec /usr/bin/dash "$@"
line=$2
shift 2
alias exec=run
eval "$line"
`

// boot runs in new namespaces, with the root folder as its argument. It says
// its process number as the machine outside has it, and stays until its input
// ends, as it does with the test.
const boot = `read -r pid rest </proc/self/stat
mount --bind /usr "$1/usr"; mount --bind "$1/etc/uname" "$1/usr/bin/uname"
mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"
for f in cpuinfo sys/kernel/osrelease sys/kernel/random/boot_id; do mount --bind "$1/etc/${f##*/}" "$1/proc/$f"; done
mount -t tmpfs -o mode=1777 tmp "$1/tmp"; mount -t tmpfs -o mode=1777,size=4m small "$1/small"
echo "$pid"
exec 3<&0
cat <&3 & wait $!
`

// NewMachine makes a machine for the time of a test and boots it.
func NewMachine(t testing.TB, h Hardware) *Machine {
	t.Helper()
	qemu, err := exec.LookPath(map[string]string{"arm64": "qemu-aarch64-static", "arm": "qemu-arm-static"}[h.Arch])
	if err != nil {
		t.Fatalf("%v: install qemu-user-static", err)
	}
	m := &Machine{Root: t.TempDir(), t: t}
	os.Chmod(m.Root, 0o755)
	for _, dir := range []string{"bin", "data/local/tmp", "dev", "etc", "home/pi", "proc", "run/sshd", "small", "sys",
		"tmp", "usr", "var/empty"} {
		if err := os.MkdirAll(filepath.Join(m.Root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"lib", "lib64", "sbin"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(m.Root, dir)); err != nil {
			t.Fatal(err)
		}
	}
	m.Write("bin/sh", fmt.Sprintf(interpreter, qemu))
	m.Write("etc/uname",
		fmt.Sprintf("#!/usr/bin/dash\ncase $1 in -m) echo %s;; -n) echo %s;; -r) echo %s;; *) echo Linux;; esac\n", h.Machine,
			h.Node, h.Kernel))
	m.Write("etc/osrelease", h.Kernel+"\n")
	m.Write("etc/passwd",
		fmt.Sprintf("root:*:0:0::/root:/bin/sh\nsshd:*:999:65534::/run/sshd:/usr/sbin/nologin\n"+
			"pi:*:%d:%d::/home/pi:/bin/sh\n", os.Getuid(), os.Getgid()))
	m.Write("etc/shells", "/bin/sh\n")
	for path, text := range h.Files {
		m.Write(path, text)
	}
	m.Boot()
	t.Cleanup(m.Halt)
	return m
}

// Write writes a file there, by its path without the first slash.
func (m *Machine) Write(path, text string) {
	m.t.Helper()
	path = filepath.Join(m.Root, path)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o755)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// Boot switches it on. No boot is like another, and /tmp is empty.
func (m *Machine) Boot() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boots++
	m.Write("etc/boot_id", fmt.Sprintf("%08d-0000-4000-8000-000000000000\n", m.boots))
	cmd := AsRoot("unshare", "--mount", "--pid", "--fork", "sh", "-ec", boot, "sh", m.Root)
	var log strings.Builder
	cmd.Stderr = &log
	_, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	said, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	m.init, m.ended = strings.TrimSpace(line), make(chan error, 1)
	if _, e := strconv.Atoi(m.init); err != nil || e != nil {
		cmd.Wait()
		m.t.Fatalf("the machine does not boot: %q, %v: %s", line, err, &log)
	}
	go func() { m.ended <- cmd.Wait() }()
}

// Halt cuts its power: every process ends at once.
func (m *Machine) Halt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.init == "" {
		return
	}
	AsRoot("kill", "-KILL", m.init).Run()
	// They would keep it if they are stopped at this moment.
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		if text, err := os.ReadFile(file); err == nil &&
			strings.HasPrefix(string(text), strings.Join(m.enter(), "\x00")+"\x00") {
			AsRoot("kill", "-KILL", filepath.Base(filepath.Dir(file))).Run()
		}
	}
	select {
	case <-m.ended:
	case <-time.After(limit):
		m.t.Errorf("process %s does not end", m.init)
	}
	m.init = ""
}

// entering runs its arguments there: only what a process starts is in the
// namespace of process ids that it has entered. nsenter would fork by itself,
// but stops when what it runs is stopped.
const entering = `exec 3<&0; "$@" <&3 3<&- & exec 3<&- </dev/null; wait $!`

// enter begins the command lines that run something there.
func (m *Machine) enter() []string { return []string{"sh", "-c", entering, m.init} }

// Command is a command that pi, or root, runs there.
func (m *Machine) Command(root bool, args ...string) *exec.Cmd {
	m.mu.Lock()
	defer m.mu.Unlock()
	user := []string{"--userspec", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())}
	if root {
		user = nil
	}
	env := []string{m.Root, "/usr/bin/env", "-i", "PATH=/bin:/usr/local/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/home/pi"}
	return AsRoot(slices.Concat([]string{"nsenter", "--no-fork", "--target", m.init, "--mount", "--pid"}, m.enter(),
		[]string{"chroot"}, user, env, args)...)
}

// Do runs a script of root there and returns what it prints.
func (m *Machine) Do(script string) string {
	m.t.Helper()
	out, err := m.Command(true, "/bin/sh", "-ec", script).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return string(out)
}

// Start starts a server of root there, which ends with the machine.
func (m *Machine) Start(log io.Writer, args ...string) {
	m.t.Helper()
	cmd := m.Command(true, args...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go cmd.Wait()
}

// ServeADBD makes it a phone on the network.
func (m *Machine) ServeADBD() *ADBD {
	m.t.Helper()
	return serveADBD(m.t, phone{root: m.seen, enter: func(args ...string) *exec.Cmd { return m.Command(false, args...) }})
}

// seen is its root folder with its mounts, as this machine sees them.
func (m *Machine) seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return filepath.Join("/proc", m.init, "root", m.Root)
}

// State is what a program could leave there, a line each: files where users
// may write, and processes.
func (m *Machine) State() string {
	m.t.Helper()
	// Of sshd's processes, those of connections that are not let in yet do not count.
	return m.Do(`: look; find /data /home /run /small /tmp /var -type f -o -name '*edgenas*' | sort
for p in /proc/[0-9]*; do tr '\0\n' '  ' <$p/cmdline && echo || :; done 2>/dev/null | cut -c -100 |
sed 's/ \[listener\].*//' |
grep -vE '^$|^(tr|sort|grep|cut|sed) |: look; | -R $|^sshd: (\[|.*\[(accepted|net|priv)\])' | sort`)
}

// Unchanged waits until its state is what it was before.
func (m *Machine) Unchanged(before string) {
	m.t.Helper()
	for started := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		now := m.State()
		if now == before {
			return
		}
		if time.Since(started) > limit {
			m.t.Fatalf("the device was left as\n%s\nwant\n%s", now, before)
		}
	}
}

// Kill sends SIGKILL to the processes whose command line has the text, and
// says how many there were.
func (m *Machine) Kill(text string) (n int) {
	m.t.Helper()
	out := m.Do(`for p in /proc/[0-9]*; do
	p=${p#/proc/}
	[ $p = $$ ] || ! tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -qF '` + text + `' || { kill -KILL $p && echo $p; }
done`)
	return len(strings.Fields(out))
}

// AsRoot is a command that root runs.
func AsRoot(args ...string) *exec.Cmd {
	if os.Getuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	return exec.Command(args[0], args[1:]...)
}
