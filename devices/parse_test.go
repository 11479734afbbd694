// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Address // Kind empty: an error
	}{
		{"local", Address{Kind: Local}},
		{"adb", Address{Kind: ADB}},
		{"adb:A1B2C3", Address{Kind: ADB, Serial: "A1B2C3"}},
		{"adb:192.168.1.5:5555", Address{Kind: ADB, Serial: "192.168.1.5:5555"}},
		{"adb:emulator-5554", Address{Kind: ADB, Serial: "emulator-5554"}},
		{"ssh://raspberrypi.local", Address{Kind: SSH, Host: "raspberrypi.local"}},
		{"ssh://pi@pi5", Address{Kind: SSH, User: "pi", Host: "pi5"}},
		{"ssh://pi@pi5/", Address{Kind: SSH, User: "pi", Host: "pi5"}},
		{"ssh://pi@10.0.0.2:2222", Address{Kind: SSH, User: "pi", Host: "10.0.0.2", Port: 2222}},
		{"ssh://[fe80::1%eth0]:22", Address{Kind: SSH, Host: "fe80::1%eth0", Port: 22}},
		{"ssh://root@[::1]", Address{Kind: SSH, User: "root", Host: "::1"}},
		{"", Address{}},
		{"pi5", Address{}},
		{"LOCAL", Address{}},
		{"adb:", Address{}},
		{"adb:-s", Address{}},
		{"adb:a b", Address{}},
		{"adb:A1\n", Address{}},
		{"ssh:pi", Address{}},
		{"ssh://", Address{}},
		{"ssh://pi@", Address{}},
		{"ssh://@pi", Address{}},
		{"ssh://pi:secret@pi5", Address{}},
		{"ssh://-oProxyCommand=x", Address{}},
		{"ssh://-l@host", Address{}},
		{"ssh://host:0", Address{}},
		{"ssh://host:65536", Address{}},
		{"ssh://host:", Address{}},
		{"ssh://host:+1", Address{}},
		{"ssh://host:1:2", Address{}},
		{"ssh://::1", Address{}},
		{"ssh://[::1", Address{}},
		{"ssh://[::1]22", Address{}},
		{"ssh://[host]", Address{}},
		{"ssh://[fe80::1%;]", Address{}},
		{"ssh://host/path", Address{}},
		{"ssh://host?x", Address{}},
		{"ssh://ho st", Address{}},
	} {
		got, err := Parse(tt.in)
		var wrong *AddressError
		if got != tt.want || (err != nil) != (tt.want.Kind == "") || err != nil && !errors.As(err, &wrong) {
			t.Errorf("%q: %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"local", "adb:A1B2", "ssh://pi@[::1%eth0]:22", "ssh://host", "ssh://a@b@c:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("%q is %+v, written %q is %+v, %v", s, a, a, again, err)
		}
		if strings.HasPrefix(a.Host, "-") || strings.HasPrefix(a.User, "-") || strings.HasPrefix(a.Serial, "-") {
			t.Errorf("%q: %+v", s, a)
		}
	})
}

func TestParsePhones(t *testing.T) {
	text := "A1B2                   device product:x model:Pixel_6_Pro device:raven transport_id:1\n" +
		"192.168.1.5:5555\toffline\n" +
		"C3 unauthorized usb:1-2 transport_id:3\n\n" +
		"???????????? no permissions (user in plugdev group; are your udev rules wrong?); see " +
		"[http://developer.android.com/tools/device.html] usb:1-1\n" +
		"(no serial number)     bootloader\n"
	want := []Phone{
		{"A1B2", "device", "Pixel 6 Pro"},
		{"192.168.1.5:5555", "offline", ""},
		{"C3", "unauthorized", ""},
		{"????????????", "no permissions", ""},
		{"(no serial number)", "bootloader", ""},
	}
	got, err := parsePhones(text)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, p := range got {
		if (p.Advice() == "") != p.Usable() {
			t.Errorf("%+v: advice %q", p, p.Advice())
		}
	}
	for _, text := range []string{"A1B2\n", "A1 \x1b[31mdevice\n", "A\x00B device"} {
		if got, err := parsePhones(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestChoose(t *testing.T) {
	one, two, locked := Phone{"A1", "device", "Pixel"}, Phone{"B2", "device", ""}, Phone{"C3", "unauthorized", ""}
	for _, tt := range []struct {
		name, serial string
		phones       []Phone
		want         string // its serial
		say          string // in the error
	}{
		{"the only one", "", []Phone{one}, "A1", ""},
		{"the only usable one", "", []Phone{locked, one}, "A1", ""},
		{"by serial", "B2", []Phone{one, two}, "B2", ""},
		{"several", "", []Phone{one, two, locked}, "", "2 devices are connected; choose one of adb:A1 (Pixel), adb:B2"},
		{"none", "", nil, "", "USB debugging"},
		{"unauthorized", "", []Phone{locked}, "", "accept \"Allow USB debugging\""},
		{"unauthorized by serial", "C3", []Phone{one, locked}, "", "accept \"Allow USB debugging\""},
		{"all unusable", "", []Phone{locked, {"D4", "offline", ""}}, "", "adb:C3 (unauthorized), adb:D4 (offline)"},
		{"absent", "X", []Phone{one}, "", "adb knows adb:A1 (Pixel), not this one: is it plugged in"},
		{"absent from the network", "10.0.0.1:5555", nil, "", "adb connect 10.0.0.1:5555"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := choose(tt.phones, Address{Kind: ADB, Serial: tt.serial})
			if tt.want != "" && (err != nil || p.Serial != tt.want) {
				t.Errorf("%+v, %v", p, err)
			}
			if tt.want == "" && (err == nil || !strings.Contains(err.Error(), tt.say)) {
				t.Errorf("%v, want %q", err, tt.say)
			}
			var usage *AddressError
			if errors.As(err, &usage) != (tt.name == "several") {
				t.Errorf("%T", err)
			}
		})
	}
}

func FuzzParsePhones(f *testing.F) {
	f.Add("A1B2 device model:x\nC3\toffline\n")
	f.Add("(no serial number) no permissions (x); see [y]\n")
	f.Fuzz(func(t *testing.T, text string) {
		phones, err := parsePhones(text)
		if err != nil {
			return
		}
		for _, p := range phones {
			if p.Serial == "" || p.State == "" ||
				printable(p.Serial+p.State+p.Model) != strings.TrimSpace(p.Serial+p.State+p.Model) {
				t.Errorf("%q: %+v", text, p)
			}
		}
	})
}

func TestParseADBSocket(t *testing.T) {
	for _, tt := range []struct{ in, network, address string }{
		{"tcp:5037", "tcp", "127.0.0.1:5037"},
		{"tcp:box:5038", "tcp", "box:5038"},
		{"tcp:[::1]:5038", "tcp", "[::1]:5038"},
		{"localfilesystem:/run/adb", "unix", "/run/adb"},
		{"", "", ""}, {"tcp:", "", ""}, {"tcp:x", "", ""}, {"tcp:box:0", "", ""}, {"vsock:1:2", "", ""}, {"5037", "", ""},
	} {
		got, err := parseADBSocket(tt.in)
		if want := (adbServer{tt.network, tt.address}); got != want || (err != nil) != (tt.network == "") {
			t.Errorf("%q: %+v, %v", tt.in, got, err)
		}
	}
}

// duplex is a stream whose answers are fixed.
type duplex struct {
	io.Reader
	io.Writer
}

func FuzzADBMessages(f *testing.F) {
	f.Add([]byte("OKAY0005hello"))
	f.Add([]byte("FAIL0003no!"))
	f.Add([]byte("FAILffff"))
	f.Add([]byte("DATA\x03\x00\x00\x00abcDONE\x00\x00\x00\x00"))
	f.Add([]byte("DATA\xff\xff\xff\xffabc"))
	f.Add([]byte("FAIL\x02\x00\x00\x00no"))
	f.Add([]byte("\x01\x02\x00\x00\x00hi\x02\x01\x00\x00\x00!\x03\x01\x00\x00\x00\x07"))
	f.Add([]byte("\x01\xff\xff\xff\xffhi"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := readADBStatus(bytes.NewReader(data)); err == nil && !bytes.HasPrefix(data, []byte("OKAY")) {
			t.Errorf("%q is accepted", data)
		}
		if text, err := readADBText(bytes.NewReader(data)); err == nil && len(text) > len(data)-4 {
			t.Errorf("%q: text %q", data, text)
		}
		var out, errs bytes.Buffer
		if code, err := readShell(bytes.NewReader(data), &out, &errs); err == nil && (code < 0 || code > 255) {
			t.Errorf("%q: exit status %d", data, code)
		}
		var file bytes.Buffer
		err := syncReceive(duplex{bytes.NewReader(data), io.Discard}, "/x", &limitedWriter{w: &file, left: 10})
		if file.Len() > 10 || err == nil && !bytes.Contains(data, []byte("DONE")) {
			t.Errorf("%q: %q, %v", data, &file, err)
		}
		if err := syncSend(duplex{bytes.NewReader(data), io.Discard}, "/x", []byte("x"), time.Unix(0, 0)); err == nil &&
			!bytes.HasPrefix(data, []byte("OKAY")) {
			t.Errorf("%q is accepted", data)
		}
	})
}

func TestReadShell(t *testing.T) {
	for _, tt := range []struct {
		name, in, out, errs string
		code                int
		lost                bool
	}{
		{"all", "\x01\x02\x00\x00\x00hi\x02\x01\x00\x00\x00!\x07\x01\x00\x00\x00?\x03\x01\x00\x00\x00\x07", "hi", "!", 7,
			false},
		{"no status", "\x01\x02\x00\x00\x00hi", "hi", "", 0, true},
		{"cut within", "\x01\x05\x00\x00\x00hi", "hi", "", 0, true},
		{"nothing", "", "", "", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code, err := readShell(strings.NewReader(tt.in), &out, &errs)
			if out.String() != tt.out || errs.String() != tt.errs || code != tt.code || (err == io.ErrUnexpectedEOF) != tt.lost {
				t.Errorf("%q, %q, %d, %v", &out, &errs, code, err)
			}
		})
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a b", `'`, `\`, `'\''`, "$(x)`y`", "\n\r\t", "*?[", "\xff"} {
		f.Add(s)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ReplaceAll(s, "\x00", "")
		// Twice, as a command over ssh is.
		out, err := exec.Command(sh, "-c", "exec sh -c "+quote("printf %s. "+quote(s))).Output()
		if err != nil || string(out) != s+"." {
			t.Errorf("%q becomes %q, %v", s, out, err)
		}
	})
}

func TestParseFree(t *testing.T) {
	head := "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
	for _, tt := range []struct {
		out  string
		free int64
		ok   bool
	}{
		{head + "/dev/root 100 40 60 40% /\n", 60 << 10, true},
		{head + "tmpfs 1 1 0 100% /a b\n", 0, true},
		{"", 0, false}, {head, 0, false}, {"a b c", 0, false}, {head + "x 1 1 -5 1% /", 0, false},
		{head + "x 1 1 99999999999999999999 1% /", 0, false},
	} {
		if free, ok := parseFree(tt.out); ok != tt.ok || ok && free != tt.free {
			t.Errorf("%q: %d, %v", tt.out, free, ok)
		}
	}
}

func TestGoArch(t *testing.T) {
	for machine, want := range map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv8l": "arm",
		"armv6l": "arm", "i686": "386", "riscv64": "riscv64"} {
		if got := goArch(machine); got != want {
			t.Errorf("%s: %s, want %s", machine, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", " a\nb \n": "a\nb", "\x1b[31mred\x07": "[31mred", "größe 漢": "größe 漢", "\u202eevil\u200b": "evil",
		"\xff\xfe": "", "\u009b1m": "1m",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestExitError(t *testing.T) {
	for code, want := range map[int]string{3: "exit status 3: bad", 137: "(killed: out of memory?)", 139: "(signal 11)",
		127: "(it could not be started)", 255: "exit status 255: bad"} {
		if s := (&ExitError{Name: "x", Code: code, Stderr: "bad"}).Error(); !strings.Contains(s, want) {
			t.Errorf("%d: %q, want %q", code, s, want)
		}
	}
}
