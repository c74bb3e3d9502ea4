// Go's runtime owns SIGSEGV (a nil dereference is a panic), preempts by SIGURG, and runs on stacks of its own in the heap.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sort"
	"sync"
	"syscall"
)

type node struct {
	next  *node
	value int
}

func nilPointers(rounds int) (caught int) {
	for i := 0; i < rounds; i++ {
		func() {
			defer func() {
				if e, ok := recover().(runtime.Error); ok && e != nil {
					caught++
				}
			}()
			var n node
			fmt.Fprint(io.Discard, n.next.value)
		}()
	}
	return caught
}

func deep(n int) int {
	var pad [256]byte
	pad[n&255] = byte(n)
	if n == 0 {
		return int(pad[0])
	}
	return deep(n-1) + 1
}

func spin(stop *bool) { // no call inside: only a signal preempts it
	for i := 0; i < 200_000_000 && !*stop; i++ {
	}
}

func goroutines() int {
	var wg sync.WaitGroup
	sums := make(chan int, 200)
	for g := 0; g < 200; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			s := make([]int, 5000)
			for i := range s {
				s[i] = (i*7919 + g) % 5003
			}
			sort.Ints(s)
			sums <- s[2500] + deep(1000) + nilPointers(5)
		}(g)
	}
	var stop bool
	for i := 0; i < 4; i++ {
		go spin(&stop)
	}
	wg.Wait()
	runtime.GC()
	stop = true
	total := 0
	for g := 0; g < 200; g++ {
		total += <-sums
	}
	return total
}

func loopback() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	var wg sync.WaitGroup
	var mu sync.Mutex
	same := 0
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				panic(err)
			}
			want := bytes.Repeat([]byte{byte(i), 1, 2}, 100_000)
			go func() { c.Write(want); c.(*net.TCPConn).CloseWrite() }()
			got, _ := io.ReadAll(c)
			mu.Lock()
			if bytes.Equal(got, want) {
				same++
			}
			mu.Unlock()
		}(i)
	}
	wg.Wait()
	l.Close()
	return same
}

func children() string {
	c := exec.Command("sh", "-c", "wc -c; exit 4")
	c.Stdin = bytes.NewReader(make([]byte, 300_000))
	out, err := c.Output()
	n := 0
	for i := 0; i < 20; i++ {
		if exec.Command("true").Run() == nil {
			n++
		}
	}
	return fmt.Sprint(string(bytes.TrimSpace(out)), " ", err, " ", n)
}

func signals() int {
	ch := make(chan os.Signal, 64)
	signal.Notify(ch, syscall.SIGUSR1, syscall.SIGHUP)
	for i := 0; i < 50; i++ {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-ch
	}
	signal.Stop(ch)
	return 50
}

func main() {
	fmt.Println("nil", nilPointers(1000))
	fmt.Println("goroutines", goroutines())
	fmt.Println("net", loopback())
	fmt.Println("children", children())
	fmt.Println("signals", signals())
	fmt.Println("cgo", native())
	var m map[string]int
	defer func() {
		fmt.Println("recovered", recover())
		os.Exit(6)
	}()
	m["x"] = 1
}
