// What a lab's cluster needs in every pod and volume: a process that only waits, and the two steps of local-path's
// helper pod, which otherwise wants an image with a shell.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "setup":
		exit(setUp(os.Getenv("VOL_DIR")))
	case "teardown":
		exit(os.RemoveAll(os.Getenv("VOL_DIR")))
	default:
		pause()
	}
}

func setUp(directory string) error {
	if err := os.MkdirAll(directory, 0o777); err != nil {
		return err
	}
	// The mask of the process does not concern chmod: any user of a pod may write, as with local-path's own script.
	return os.Chmod(directory, 0o777)
}

func pause() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	orphans := make(chan os.Signal, 16)
	signal.Notify(orphans, syscall.SIGCHLD)
	for {
		select {
		case <-ended:
			return
		case <-orphans:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "drkit lab:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
