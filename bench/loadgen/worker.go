package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// review is one ready-made HTTP request; uidAt is where the uid's 36 bytes stand in it.
type review struct {
	wire  []byte
	uidAt int
}

const uidLength = 36

func loadReviews(o options) ([]review, error) {
	if len(o.files) == 0 {
		return nil, errors.New("name at least one file with a recorded review")
	}
	var reviews []review
	for _, name := range o.files {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var parsed struct {
			Request struct {
				UID string `json:"uid"`
			} `json:"request"`
		}
		if err := json.Unmarshal(body, &parsed); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		uid := parsed.Request.UID
		if len(uid) != uidLength {
			return nil, fmt.Errorf("%s: request.uid has %d characters, want %d", name, len(uid), uidLength)
		}
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kube-apiserver-admission\r\n"+
			"Content-Length: %d\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\n\r\n",
			o.path, o.address, len(body))
		wire := append([]byte(head), body...)
		at := bytes.Index(wire, []byte(`"`+uid+`"`))
		reviews = append(reviews, review{wire: wire, uidAt: at + 1})
	}
	return reviews, nil
}

// worker owns one connection.
type worker struct {
	conn      *tls.Conn
	in        *bufio.Reader
	reviews   []review
	turn      int
	serial    uint32
	prefix    [14]byte
	deadline  time.Duration
	body      []byte
	latencies []time.Duration
	failed    int
	lastError string
}

func dial(o options, reviews []review, number int) (*worker, error) {
	// The server's certificate is made for the run; what is measured is its cost, not its trust.
	conn, err := tls.Dial("tcp", o.address, &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	})
	if err != nil {
		return nil, err
	}
	w := &worker{
		conn: conn, in: bufio.NewReaderSize(conn, 64<<10), turn: number,
		deadline: time.Duration(o.requestDeadlineSec) * time.Second,
	}
	for _, r := range reviews {
		w.reviews = append(w.reviews, review{wire: bytes.Clone(r.wire), uidAt: r.uidAt})
	}
	_, err = rand.Read(w.prefix[:])
	return w, err
}

func (w *worker) tlsName() string { return tls.VersionName(w.conn.ConnectionState().Version) }

func (w *worker) close() { _ = w.conn.Close() }

func (w *worker) reset() { w.latencies, w.failed, w.lastError = w.latencies[:0], 0, "" }

func (w *worker) work(s *schedule) {
	for {
		due, more := s.due()
		if !more {
			return
		}
		usable, err := w.exchange()
		if err != nil {
			w.failed++
			w.lastError = err.Error()
			if !usable {
				return
			}
			continue
		}
		w.latencies = append(w.latencies, time.Since(due))
	}
}

// exchange sends one review and checks the answer; usable tells if the connection still is.
func (w *worker) exchange() (usable bool, err error) {
	r := w.reviews[w.turn%len(w.reviews)]
	w.turn++
	uid := r.wire[r.uidAt : r.uidAt+uidLength]
	w.stamp(uid)
	if w.serial%256 == 1 {
		if err := w.conn.SetDeadline(time.Now().Add(w.deadline)); err != nil {
			return false, err
		}
	}
	if _, err := w.conn.Write(r.wire); err != nil {
		return false, err
	}
	status, err := w.answer()
	if err != nil {
		return false, err
	}
	if status != 200 {
		return true, fmt.Errorf("status %d: %.200s", status, w.body)
	}
	if !bytes.Contains(w.body, uid) {
		return true, fmt.Errorf("the answer has another uid: %.200s", w.body)
	}
	if !bytes.Contains(w.body, []byte(`"allowed":true`)) && !bytes.Contains(w.body, []byte(`"allowed": true`)) {
		return true, fmt.Errorf("not allowed: %.200s", w.body)
	}
	return true, nil
}

// stamp writes a new uid in the shape of a UUID.
func (w *worker) stamp(uid []byte) {
	w.serial++
	var raw [16]byte
	copy(raw[:], w.prefix[:12])
	raw[12], raw[13] = byte(w.serial>>24), byte(w.serial>>16)
	raw[14], raw[15] = byte(w.serial>>8), byte(w.serial)
	var text [32]byte
	hex.Encode(text[:], raw[:])
	copy(uid[0:8], text[0:8])
	uid[8] = '-'
	copy(uid[9:13], text[8:12])
	uid[13] = '-'
	copy(uid[14:18], text[12:16])
	uid[18] = '-'
	copy(uid[19:23], text[16:20])
	uid[23] = '-'
	copy(uid[24:36], text[20:32])
}

// answer reads one HTTP response with a Content-Length into w.body.
func (w *worker) answer() (int, error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("no status line: %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, err
	}
	length := -1
	for {
		line, err = w.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("the answer has no Content-Length")
	}
	if cap(w.body) < length {
		w.body = make([]byte, length)
	}
	w.body = w.body[:length]
	_, err = io.ReadFull(w.in, w.body)
	return status, err
}
