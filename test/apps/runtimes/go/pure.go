//go:build !cgo

package main

func native() int { return 0 }
