// Command loadgen sends recorded admission reviews over HTTP/1.1 keep-alive and TLS.
//
// With -rate 0 it is a closed loop: each connection sends the next review as soon as it has
// the answer to the last. With -rate N it is an open loop: reviews are due at fixed times, and
// latency counts from the time a review was due, so that a stalled server can't hide.
//
// It speaks HTTP by hand, since net/http's client would cost more than the server under test.
// Every answer is checked: status 200, the same uid, allowed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"syscall"
	"time"
)

// Result is what one run printed as JSON; durations are in microseconds.
type Result struct {
	Reviews      int      `json:"reviews"`
	Failed       int      `json:"failed"`
	Errors       []string `json:"errors"`
	Seconds      float64  `json:"seconds"`
	PerSecond    float64  `json:"per_second"`
	P50          float64  `json:"p50_us"`
	P90          float64  `json:"p90_us"`
	P99          float64  `json:"p99_us"`
	Max          float64  `json:"max_us"`
	BusyFraction float64  `json:"busy_fraction"`
	TLS          string   `json:"tls"`
}

type options struct {
	address, path      string
	conns              int
	rate               float64
	warmup, duration   time.Duration
	files              []string
	requestDeadlineSec int
}

func main() {
	var o options
	flag.StringVar(&o.address, "address", "", "host:port of the server")
	flag.StringVar(&o.path, "path", "/mutate?timeout=5s", "path to POST to")
	flag.IntVar(&o.conns, "conns", 8, "connections")
	flag.Float64Var(&o.rate, "rate", 0, "reviews per second; 0 means as fast as the answers come")
	flag.DurationVar(&o.warmup, "warmup", time.Second, "time before the measurement")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "length of the measurement")
	flag.IntVar(&o.requestDeadlineSec, "deadline", 10, "seconds until an unanswered review fails")
	flag.Parse()
	o.files = flag.Args()
	runtime.GOMAXPROCS(1)
	result, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}

func run(o options) (*Result, error) {
	reviews, err := loadReviews(o)
	if err != nil {
		return nil, err
	}
	workers := make([]*worker, o.conns)
	for i := range workers {
		w, err := dial(o, reviews, i)
		if err != nil {
			return nil, err
		}
		defer w.close()
		workers[i] = w
	}
	if o.warmup > 0 {
		drive(workers, o.rate, o.warmup)
		for _, w := range workers {
			w.reset()
		}
	}
	cpu := cpuTime()
	took := drive(workers, o.rate, o.duration)
	return summarize(workers, took, cpuTime()-cpu), nil
}

// drive runs all workers for the given time and returns how long that really took.
func drive(workers []*worker, rate float64, length time.Duration) time.Duration {
	var group sync.WaitGroup
	start := time.Now()
	schedule := &schedule{start: start, end: start.Add(length)}
	if rate > 0 {
		schedule.interval = time.Duration(float64(time.Second) / rate)
	}
	for _, w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			w.work(schedule)
		}()
	}
	group.Wait()
	return time.Since(start)
}

// schedule hands out the times at which reviews are due. GOMAXPROCS is 1, the lock is cheap.
type schedule struct {
	sync.Mutex
	start, end time.Time
	interval   time.Duration
	next       int
}

func (s *schedule) due() (time.Time, bool) {
	now := time.Now()
	if s.interval == 0 {
		return now, now.Before(s.end)
	}
	s.Lock()
	due := s.start.Add(time.Duration(s.next) * s.interval)
	s.next++
	s.Unlock()
	if !due.Before(s.end) {
		return due, false
	}
	if wait := due.Sub(now); wait > 0 {
		time.Sleep(wait)
	}
	return due, true
}

func summarize(workers []*worker, took, cpu time.Duration) *Result {
	r := &Result{Seconds: took.Seconds(), TLS: workers[0].tlsName(), Errors: []string{}}
	var all []time.Duration
	for _, w := range workers {
		all = append(all, w.latencies...)
		r.Failed += w.failed
		if w.lastError != "" && len(r.Errors) < 5 {
			r.Errors = append(r.Errors, w.lastError)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	r.Reviews = len(all)
	r.PerSecond = float64(len(all)) / took.Seconds()
	r.BusyFraction = cpu.Seconds() / took.Seconds()
	if len(all) > 0 {
		at := func(q float64) float64 {
			return float64(all[int(q*float64(len(all)-1))].Nanoseconds()) / 1000
		}
		r.P50, r.P90, r.P99, r.Max = at(0.5), at(0.9), at(0.99), at(1)
	}
	return r
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
