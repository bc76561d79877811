package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"

	chromahttp "github.com/amikos-tech/chroma-go/pkg/commons/http"
)

var passed, failed int

// check runs one check and prints its line; a check fails by panicking.
func check(what string, run func()) {
	defer func() {
		if trouble := recover(); trouble != nil {
			failed++
			fmt.Printf("FAILED  %s: %v\n", what, trouble)
			return
		}
		passed++
		fmt.Printf("ok      %s\n", what)
	}()
	run()
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	ok(err)
	return value
}

func equal(given, wanted any) {
	if !reflect.DeepEqual(given, wanted) {
		panic(fmt.Sprintf("%v is not %v", given, wanted))
	}
}

// refused demands an error reply with this status and a message that matches.
func refused(err error, status int, message string) {
	var reply *chromahttp.ChromaError
	if !errors.As(err, &reply) || reply.ErrorCode != status || !regexp.MustCompile(message).MatchString(reply.Message) {
		panic(fmt.Sprintf("wanted status %d with %q, got %v", status, message, err))
	}
}
