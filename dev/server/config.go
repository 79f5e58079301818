package server

import (
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
)

const (
	clusterName  = "active"
	storeMain    = "main"
	storeLists   = "visibility"
	disabled     = "disabled"
	sqliteShards = 1 // one shard: SQLite has one writer, more shards only cost memory
)

func serverConfig(p ports, db *database) *config.Config {
	return &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     storeMain,
			VisibilityStore:  storeLists,
			NumHistoryShards: db.shards,
			DataStores: map[string]config.DataStore{
				storeMain:  {SQL: db.main},
				storeLists: {SQL: db.visibility},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled:                true,
				InitialFailoverVersion: 1,
				RPCAddress:             address(p.frontend),
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: address(p.frontend)},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: disabled},
			Visibility: config.VisibilityArchival{State: disabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: disabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: disabled},
		}},
		Services: map[string]config.Service{
			"frontend": {RPC: config.RPC{GRPCPort: p.frontend, HTTPPort: p.http, BindOnIP: host}},
			"history":  service(p.history),
			"matching": service(p.matching),
			"worker":   service(p.worker),
		},
	}
}

func service(port int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: host}}
}
