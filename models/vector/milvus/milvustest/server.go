// Package milvustest is for tests of what stands on Milvus: Server answers the
// calls that models/vector/milvus makes, in memory and exactly, unless a filter
// lets much through, so that what happens around Milvus is tested where there is
// none; Proxy makes the way to it, or to a real one, bad. That the real one answers
// alike is shown by the tests of models/vector/milvus.
package milvustest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// Server is a Milvus in memory. It is safe for concurrent use.
type Server struct {
	milvuspb.UnimplementedMilvusServiceServer
	Address  string
	searches atomic.Int64

	mu          sync.Mutex
	collections map[string]*collection
	aliases     map[string]string
	unready     bool
	last        int64
	asked       map[string]int
}

// collection is one, by row.
type collection struct {
	id     int64
	schema *schemapb.CollectionSchema
	rows   []int64
	vecs   []float32
	fields map[string][]int64 // of each row, by name
	dim    int
	loaded bool
}

// NewServer starts one on a free port of this machine. It ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: l.Addr().String(), collections: map[string]*collection{}, aliases: map[string]string{}, asked: map[string]int{}}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(256 << 20))
	milvuspb.RegisterMilvusServiceServer(g, s)
	done := make(chan struct{})
	go func() { _ = g.Serve(l); close(done) }()
	t.Cleanup(func() { g.Stop(); <-done })
	return s
}

// Searches is how many searches it answered.
func (s *Server) Searches() int64 { return s.searches.Load() }

// Asked is how many searches were made by each filter.
func (s *Server) Asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.asked)
}

// Collections lists what there is, in order.
func (s *Server) Collections() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.collections))
}

// Aliases is what each alias points to.
func (s *Server) Aliases() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.aliases)
}

// Unready makes every search say that the collection is not loaded, as Milvus
// does for half a minute after a restart, until it is called with false.
func (s *Server) Unready(yes bool) {
	s.mu.Lock()
	s.unready = yes
	s.mu.Unlock()
}

// Tamper changes the vectors of every collection, and their description with
// them, as if other ones had been put in under the same name.
func (s *Server) Tamper() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.collections {
		c.schema.Description = "another training's " + c.schema.Description
		for i := range c.vecs {
			c.vecs[i] = -c.vecs[i]
		}
	}
}

var success = &commonpb.Status{}

func failed(code commonpb.ErrorCode, format string, args ...any) *commonpb.Status {
	return &commonpb.Status{ErrorCode: code, Code: int32(code), Reason: fmt.Sprintf(format, args...)}
}

// find is a collection by its name or an alias; the caller holds the lock.
func (s *Server) find(name string) (*collection, *commonpb.Status) {
	if to, ok := s.aliases[name]; ok {
		name = to
	}
	if c, ok := s.collections[name]; ok {
		return c, success
	}
	return nil, failed(commonpb.ErrorCode_CollectionNotExists, "can't find collection: %s", name)
}

// Connect implements the RPC.
func (s *Server) Connect(context.Context, *milvuspb.ConnectRequest) (*milvuspb.ConnectResponse, error) {
	return &milvuspb.ConnectResponse{Status: success, ServerInfo: &commonpb.ServerInfo{BuildTags: "milvustest"}, Identifier: 1}, nil
}

// ShowCollections implements the RPC.
func (s *Server) ShowCollections(context.Context, *milvuspb.ShowCollectionsRequest) (*milvuspb.ShowCollectionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &milvuspb.ShowCollectionsResponse{Status: success}
	for _, name := range slices.Sorted(maps.Keys(s.collections)) {
		out.CollectionNames = append(out.CollectionNames, name)
		out.CollectionIds = append(out.CollectionIds, s.collections[name].id)
	}
	return out, nil
}

// HasCollection implements the RPC.
func (s *Server) HasCollection(_ context.Context, r *milvuspb.HasCollectionRequest) (*milvuspb.BoolResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _ := s.find(r.GetCollectionName())
	return &milvuspb.BoolResponse{Status: success, Value: c != nil}, nil
}

// DescribeCollection implements the RPC.
func (s *Server) DescribeCollection(_ context.Context, r *milvuspb.DescribeCollectionRequest) (*milvuspb.DescribeCollectionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, status := s.find(r.GetCollectionName())
	if c == nil {
		return &milvuspb.DescribeCollectionResponse{Status: status}, nil
	}
	schema := &schemapb.CollectionSchema{Name: c.schema.GetName(), Description: c.schema.GetDescription(), Fields: c.schema.GetFields()}
	return &milvuspb.DescribeCollectionResponse{
		Status: success, Schema: schema, CollectionID: c.id, CollectionName: c.schema.GetName(), ShardsNum: 1,
	}, nil
}

// CreateCollection implements the RPC.
func (s *Server) CreateCollection(_ context.Context, r *milvuspb.CreateCollectionRequest) (*commonpb.Status, error) {
	c := &collection{schema: &schemapb.CollectionSchema{}, fields: map[string][]int64{}}
	if err := proto.Unmarshal(r.GetSchema(), protoadapt.MessageV2Of(c.schema)); err != nil {
		return nil, err
	}
	for _, f := range c.schema.GetFields() {
		for _, p := range f.GetTypeParams() {
			if p.GetKey() == "dim" {
				c.dim, _ = strconv.Atoi(p.GetValue())
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	c.id = s.last
	s.collections[r.GetCollectionName()] = c
	return success, nil
}

// DropCollection implements the RPC.
func (s *Server) DropCollection(_ context.Context, r *milvuspb.DropCollectionRequest) (*commonpb.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.collections, r.GetCollectionName())
	return success, nil
}

// Insert implements the RPC.
func (s *Server) Insert(_ context.Context, r *milvuspb.InsertRequest) (*milvuspb.MutationResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, status := s.find(r.GetCollectionName())
	if c == nil {
		return &milvuspb.MutationResult{Status: status}, nil
	}
	ids := &schemapb.LongArray{}
	for _, f := range r.GetFieldsData() {
		if v := f.GetVectors().GetFloatVector().GetData(); v != nil {
			c.vecs = append(c.vecs, v...)
		}
		if v := f.GetScalars().GetLongData().GetData(); v != nil {
			c.fields[f.GetFieldName()] = append(c.fields[f.GetFieldName()], v...)
			if f.GetFieldName() == rowField {
				c.rows, ids.Data = append(c.rows, v...), v
			}
		}
	}
	return &milvuspb.MutationResult{Status: success, InsertCnt: int64(r.GetNumRows()), IDs: &schemapb.IDs{IdField: &schemapb.IDs_IntId{IntId: ids}}}, nil
}

// Flush implements the RPC.
func (s *Server) Flush(context.Context, *milvuspb.FlushRequest) (*milvuspb.FlushResponse, error) {
	return &milvuspb.FlushResponse{Status: success}, nil
}

// CreateIndex implements the RPC.
func (s *Server) CreateIndex(context.Context, *milvuspb.CreateIndexRequest) (*commonpb.Status, error) {
	return success, nil
}

// DescribeIndex implements the RPC.
func (s *Server) DescribeIndex(_ context.Context, r *milvuspb.DescribeIndexRequest) (*milvuspb.DescribeIndexResponse, error) {
	return &milvuspb.DescribeIndexResponse{Status: success, IndexDescriptions: []*milvuspb.IndexDescription{
		{IndexName: "_default", FieldName: r.GetFieldName(), State: commonpb.IndexState_Finished},
	}}, nil
}

// LoadCollection implements the RPC.
func (s *Server) LoadCollection(_ context.Context, r *milvuspb.LoadCollectionRequest) (*commonpb.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, status := s.find(r.GetCollectionName())
	if c != nil {
		c.loaded = true
	}
	return status, nil
}

// GetLoadingProgress implements the RPC.
func (s *Server) GetLoadingProgress(context.Context, *milvuspb.GetLoadingProgressRequest) (*milvuspb.GetLoadingProgressResponse, error) {
	return &milvuspb.GetLoadingProgressResponse{Status: success, Progress: 100}, nil
}

// GetCollectionStatistics implements the RPC.
func (s *Server) GetCollectionStatistics(_ context.Context, r *milvuspb.GetCollectionStatisticsRequest) (*milvuspb.GetCollectionStatisticsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, status := s.find(r.GetCollectionName())
	if c == nil {
		return &milvuspb.GetCollectionStatisticsResponse{Status: status}, nil
	}
	return &milvuspb.GetCollectionStatisticsResponse{Status: success, Stats: []*commonpb.KeyValuePair{{Key: "row_count", Value: strconv.Itoa(len(c.rows))}}}, nil
}

// CreateAlias implements the RPC.
func (s *Server) CreateAlias(_ context.Context, r *milvuspb.CreateAliasRequest) (*commonpb.Status, error) {
	return s.alias(r.GetAlias(), r.GetCollectionName())
}

// AlterAlias implements the RPC.
func (s *Server) AlterAlias(_ context.Context, r *milvuspb.AlterAliasRequest) (*commonpb.Status, error) {
	return s.alias(r.GetAlias(), r.GetCollectionName())
}

func (s *Server) alias(alias, name string) (*commonpb.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, status := s.find(name)
	if c != nil {
		s.aliases[alias] = name
	}
	return status, nil
}

// Search implements the RPC: the nearest rows by their distance.
func (s *Server) Search(_ context.Context, r *milvuspb.SearchRequest) (*milvuspb.SearchResults, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, status := s.find(r.GetCollectionName())
	switch {
	case c == nil:
		return &milvuspb.SearchResults{Status: status}, nil
	case !c.loaded || s.unready:
		return &milvuspb.SearchResults{Status: failed(commonpb.ErrorCode_NotReadyServe, "collection not loaded")}, nil
	}
	top, walk := 0, struct {
		Width int `json:"ef"`
	}{}
	for _, p := range r.GetSearchParams() {
		switch p.GetKey() {
		case "topk":
			top, _ = strconv.Atoi(p.GetValue())
		case "params":
			if err := json.Unmarshal([]byte(p.GetValue()), &walk); err != nil {
				return nil, err
			}
		}
	}
	allowed, err := c.passing(r.GetDsl())
	if err != nil {
		return &milvuspb.SearchResults{Status: failed(commonpb.ErrorCode_IllegalArgument, "%v", err)}, nil
	}
	var group commonpb.PlaceholderGroup
	if err := proto.Unmarshal(r.GetPlaceholderGroup(), protoadapt.MessageV2Of(&group)); err != nil {
		return nil, err
	}
	out := &schemapb.SearchResultData{TopK: int64(top)}
	ids := &schemapb.LongArray{}
	for _, value := range group.GetPlaceholders()[0].GetValues() {
		found := c.nearest(value, top, walk.Width, allowed)
		out.NumQueries++
		out.Topks = append(out.Topks, int64(len(found)))
		for _, f := range found {
			ids.Data, out.Scores = append(ids.Data, f.row), append(out.Scores, f.distance)
		}
	}
	out.Ids = &schemapb.IDs{IdField: &schemapb.IDs_IntId{IntId: ids}}
	s.searches.Add(1)
	s.asked[r.GetDsl()]++
	return &milvuspb.SearchResults{Status: success, Results: out, CollectionName: r.GetCollectionName()}, nil
}

type near struct {
	at       int // its place in the collection
	row      int64
	distance float32
}

// scanned is the share of rows that Milvus scans at most; of more it walks its graph.
const scanned = .07

// nearest is the nearest rows that are allowed: of all that are, when they are
// few, and else of as many as a walk of that width meets.
func (c *collection) nearest(query []byte, top, width int, allowed []bool) []near {
	few := 0
	for _, ok := range allowed {
		if ok {
			few++
		}
	}
	walks := few != len(allowed) && float64(few) > scanned*float64(len(allowed))
	var all []near
	for i, row := range c.rows {
		if !walks && !allowed[i] {
			continue
		}
		sum := float32(0)
		for j, v := range c.vecs[i*c.dim:][:c.dim] {
			d := v - math.Float32frombits(binary.LittleEndian.Uint32(query[4*j:]))
			sum += d * d
		}
		all = append(all, near{i, row, sum})
	}
	slices.SortStableFunc(all, func(a, b near) int {
		switch {
		case a.distance < b.distance:
			return -1
		case a.distance > b.distance:
			return 1
		}
		return 0
	})
	if walks {
		all = slices.DeleteFunc(all[:min(width, len(all))], func(n near) bool { return !allowed[n.at] })
	}
	return all[:min(top, len(all))]
}
