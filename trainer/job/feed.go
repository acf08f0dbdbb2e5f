package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

const (
	feedMost = 16 << 30        // bytes of a feed
	feedWait = 2 * time.Minute // for the first byte of it
)

// isFeed reports whether a file is named by an address.
func isFeed(file string) bool {
	return strings.HasPrefix(file, "https://") || strings.HasPrefix(file, "http://")
}

// fetchFeed brings what is at an address to a directory, under the name that
// the address ends with, so that it is imported as the file would be. Addresses
// of other machines must be https; redirects too.
func fetchFeed(ctx context.Context, address, dir string) (file string, err error) {
	where, err := feedAddress(address)
	if err != nil {
		return "", err
	}
	client := &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return errors.New("it is redirected more than five times")
		}
		_, err := feedAddress(r.URL.String())
		return err
	}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(feedWait, func() { cancel(fmt.Errorf("nothing came within %v", feedWait)) })
	defer patience.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("fetch the feed: %w", errors.Join(err, context.Cause(ctx)))
	}
	patience.Stop()
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("fetch the feed: %s answers %s", where.Redacted(), resp.Status)
	}
	file = filepath.Join(dir, path.Base(where.Path))
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	n, err := io.Copy(out, io.LimitReader(resp.Body, feedMost+1))
	if err = errors.Join(err, out.Close()); err != nil {
		return "", fmt.Errorf("fetch the feed: %w", err)
	}
	if n > feedMost || resp.ContentLength >= 0 && n != resp.ContentLength {
		return "", fmt.Errorf("fetch the feed: got %d bytes of %d, and take %d at most", n, resp.ContentLength, int64(feedMost))
	}
	return file, nil
}

func feedAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of the feed: %w", err)
	}
	if base := path.Base(u.Path); base == "." || base == "/" {
		return nil, fmt.Errorf("address of the feed %s must end with the name of a file, such as feed.csv", u.Redacted())
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("address of the feed %s must begin with https://", u.Redacted())
	}
	return u, nil
}
