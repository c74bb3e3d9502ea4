//go:build cgo

package main

/*
#include <stdlib.h>
#include <string.h>
extern long visit(int);
static long each(int n)
{
	long sum = 0;
	for (int i = 0; i < n; i++) {
		char *p = malloc(i * 100 + 1);
		memset(p, i, i * 100 + 1);
		sum += visit(i) + p[i * 100];
		free(p);
	}
	return sum;
}
*/
import "C"
import (
	"sync"
	"unsafe"
)

//export visit
func visit(i C.int) C.long { return C.long(int(i) + nilPointers(1)) }

func native() int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			n := int(C.each(300))
			p := C.CString("some text that C owns")
			n += len(C.GoString(p))
			C.free(unsafe.Pointer(p))
			mu.Lock()
			total += n
			mu.Unlock()
		}()
	}
	wg.Wait()
	return total
}
