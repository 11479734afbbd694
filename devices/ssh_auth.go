// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const askTimes = 3 // for a password

// login logs in to one host: with the agent's keys, with those in files, with
// a password.
type login struct {
	h     *sshHost
	ask   func(prompt string) (string, error) // nil: there is nobody
	agent net.Conn                            // nil: there is none
	tried []string                            // keys that were offered or could not be
	err   error                               // of asking: it ends the login
}

func newLogin(h *sshHost, ask func(string) (string, error)) *login {
	return &login{h: h, ask: ask}
}

func (l *login) close() {
	if l.agent != nil {
		l.agent.Close()
	}
}

// methods are the ways to log in, in their order.
func (l *login) methods() []ssh.AuthMethod {
	m := []ssh.AuthMethod{ssh.PublicKeysCallback(l.keys)}
	if l.ask != nil {
		password := func() (string, error) { return l.secret(fmt.Sprintf("password of %s on %s", l.h.user, l.h.name())) }
		m = append(m,
			ssh.RetryableAuthMethod(ssh.PasswordCallback(password), askTimes),
			ssh.RetryableAuthMethod(ssh.KeyboardInteractive(l.interact), askTimes))
	}
	return m
}

// secret asks the user. Once that has failed, nothing is asked any more.
func (l *login) secret(prompt string) (string, error) {
	if l.err != nil {
		return "", l.err
	}
	s, err := l.ask(prompt)
	if err != nil {
		l.err = err
	}
	return s, err
}

// interact answers the questions of a host.
func (l *login) interact(_, _ string, questions []string, _ []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i, q := range questions {
		q = strings.TrimRight(printable(q), ": ")
		a, err := l.secret(fmt.Sprintf("%s asks: %.200s", l.h.name(), q))
		if err != nil {
			return nil, err
		}
		answers[i] = a
	}
	return answers, nil
}

// keys are the agent's keys and those in files. The ones that the files name
// come first, and alone if IdentitiesOnly says so.
func (l *login) keys() ([]ssh.Signer, error) {
	var named, other []ssh.Signer
	held := l.agentKeys()
	for _, path := range l.h.identities {
		key, err := l.fileKey(path, held)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			l.tried = append(l.tried, fmt.Sprintf("%s (%v)", path, err))
		default:
			named = append(named, key)
			l.tried = append(l.tried, path)
		}
	}
	if !l.h.identitiesOnly {
		for _, key := range held {
			if find(named, key.PublicKey()) == nil {
				other = append(other, key)
				l.tried = append(l.tried, "the agent's "+ssh.FingerprintSHA256(key.PublicKey()))
			}
		}
	}
	return append(named, other...), nil
}

// agentKeys are the keys that the agent holds, if there is one.
func (l *login) agentKeys() []ssh.Signer {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		l.tried = append(l.tried, fmt.Sprintf("the agent (%v)", err))
		return nil
	}
	l.agent = conn
	keys, err := agent.NewClient(conn).Signers()
	if err != nil {
		l.tried = append(l.tried, fmt.Sprintf("the agent (%v)", err))
	}
	return keys
}

// fileKey is the private key in a file, or the agent's if that holds it. A
// passphrase is asked for when the host has accepted the key.
func (l *login) fileKey(path string, held []ssh.Signer) (ssh.Signer, error) {
	data, err := os.ReadFile(path)
	public := publicKey(path)
	if public != nil {
		if key := find(held, public); key != nil {
			return key, nil
		}
	}
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(data)
	var missing *ssh.PassphraseMissingError
	if !errors.As(err, &missing) {
		return key, err
	}
	if missing.PublicKey != nil {
		public = missing.PublicKey
	}
	if public == nil {
		return nil, errors.New("it has a passphrase, and its public key is not beside it")
	}
	if key := find(held, public); key != nil {
		return key, nil
	}
	if l.ask == nil {
		return nil, errors.New("it has a passphrase: add it to the agent, ssh-add " + path)
	}
	return &lockedKey{login: l, path: path, data: data, public: public}, nil
}

// publicKey is the key in path.pub; nil: there is none.
func publicKey(path string) ssh.PublicKey {
	data, err := os.ReadFile(path + ".pub")
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return key
}

// find is the one of keys with that public key; nil: none.
func find(keys []ssh.Signer, public ssh.PublicKey) ssh.Signer {
	for _, k := range keys {
		if bytes.Equal(k.PublicKey().Marshal(), public.Marshal()) {
			return k
		}
	}
	return nil
}

// lockedKey is a private key that is unlocked when it is used.
type lockedKey struct {
	login  *login
	path   string
	data   []byte
	public ssh.PublicKey
	key    ssh.AlgorithmSigner // nil: still locked
}

func (k *lockedKey) PublicKey() ssh.PublicKey { return k.public }

func (k *lockedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(rand, data, k.public.Type())
}

func (k *lockedKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if err := k.unlock(); err != nil {
		return nil, err
	}
	return k.key.SignWithAlgorithm(rand, data, algorithm)
}

func (k *lockedKey) unlock() error {
	var err error
	for range askTimes {
		if k.key != nil {
			return nil
		}
		var passphrase string
		if passphrase, err = k.login.secret("passphrase of " + k.path); err != nil {
			return err
		}
		var key ssh.Signer
		if key, err = ssh.ParsePrivateKeyWithPassphrase(k.data, []byte(passphrase)); err == nil {
			k.key, err = key.(ssh.AlgorithmSigner), nil
		}
	}
	if k.key == nil {
		return fmt.Errorf("%s: wrong passphrase", k.path)
	}
	return err
}

// explain is a failed login as the user should read it.
func (l *login) explain(err error) error {
	var key *HostKeyError
	switch {
	case l.err != nil:
		return l.err
	case errors.As(err, &key): // it says what to do itself
		return key
	case strings.Contains(err.Error(), "unable to authenticate"):
		tried := "no key was found"
		if len(l.tried) > 0 {
			tried = "tried " + strings.Join(l.tried, ", ")
		}
		return fmt.Errorf("%s does not let %s in: %s; to use a key: ssh-copy-id -p %d %s@%s", l.h.name(), l.h.user, tried,
			l.h.port, l.h.user, l.h.host)
	}
	return err
}
