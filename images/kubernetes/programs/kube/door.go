package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// doorCommand gives the way into the cluster's network for whoever stands outside: a connection
// begins with a line `name:port`, is answered with a line, `connected` or why not, and leads there.
func doorCommand() *cobra.Command {
	var listen string
	command := &cobra.Command{
		Use: "door",
		RunE: func(*cobra.Command, []string) error {
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			for {
				outside, err := listener.Accept()
				if err != nil {
					return err
				}
				go lead(outside)
			}
		},
	}
	command.Flags().StringVar(&listen, "listen", ":8000", "the address to listen on")
	return command
}

func lead(outside net.Conn) {
	defer outside.Close()
	_ = outside.SetReadDeadline(time.Now().Add(5 * time.Second))
	// A buffer as long as the longest name: what comes after the line stays in it, and is passed on.
	reader := bufio.NewReaderSize(outside, 512)
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return
	}
	inside, err := net.DialTimeout("tcp", strings.TrimSpace(string(line)), 5*time.Second)
	if err != nil {
		fmt.Fprintln(outside, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	defer inside.Close()
	_ = outside.SetReadDeadline(time.Time{})
	if _, err := fmt.Fprintln(outside, "connected"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(inside, reader)
		// What one side has ended is ended at the other; answers may still come.
		_ = inside.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(outside, inside)
}
