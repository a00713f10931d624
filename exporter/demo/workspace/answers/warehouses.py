"""SQL warehouses and instance pools as documents, and their lists."""

from __future__ import annotations

from exporter.demo.workspace.answers import pages
from exporter.demo.workspace.answers.requests import Document, Request, given
from exporter.demo.workspace.world.warehouses import Pool, Warehouse
from exporter.demo.workspace.world.world import World


def warehouses(world: World, request: Request) -> Document:
    """GET sql/warehouses."""
    limit = request.limit("page_size", 100, 100)
    return pages.listed(request, "warehouses", world.warehouses.values(), lambda one: [one.id], _warehouse, limit)


def pools(world: World) -> Document:
    """GET instance-pools/list: all of them, without pages."""
    return {"instance_pools": [_pool(pool) for pool in world.pools.values()]}


def _warehouse(warehouse: Warehouse) -> Document:
    reason = {"code": "CLOUD_PROVIDER_RESOURCE_STOCKOUT", "type": "CLOUD_FAILURE"}
    health = given(
        {
            "status": warehouse.health,
            "summary": "" if warehouse.health == "HEALTHY" else "Clusters could not be started.",
            "failure_reason": None if warehouse.health == "HEALTHY" else reason,
        }
    )
    return {
        "id": warehouse.id,
        "name": warehouse.name,
        "cluster_size": warehouse.size,
        "state": warehouse.state,
        "health": health,
        "num_clusters": warehouse.clusters,
        "min_num_clusters": 1,
        "max_num_clusters": warehouse.most,
        "num_active_sessions": warehouse.sessions,
        "auto_stop_mins": 10,
        "warehouse_type": "PRO",
        "enable_serverless_compute": warehouse.serverless,
        "enable_photon": True,
        "spot_instance_policy": "COST_OPTIMIZED",
        "creator_name": "someone@example.com",
        "channel": {"name": "CHANNEL_NAME_CURRENT"},
        "jdbc_url": f"jdbc:spark://workspace.example.com:443/default;httpPath=/sql/1.0/warehouses/{warehouse.id}",
        "odbc_params": {"hostname": "workspace.example.com", "path": f"/sql/1.0/warehouses/{warehouse.id}", "port": 443},
        "tags": {"custom_tags": [{"key": "team", "value": "core"}]},
    }


def _pool(pool: Pool) -> Document:
    stats = {
        "used_count": pool.used,
        "idle_count": pool.idle,
        "pending_used_count": pool.pending_used,
        "pending_idle_count": pool.pending_idle,
    }
    return {
        "instance_pool_id": pool.id,
        "instance_pool_name": pool.name,
        "state": "ACTIVE",
        "node_type_id": "m5d.xlarge",
        "min_idle_instances": pool.least_idle,
        "max_capacity": pool.most,
        "idle_instance_autotermination_minutes": 30,
        "enable_elastic_disk": True,
        "preloaded_spark_versions": ["16.4.x-scala2.12"],
        "default_tags": {"DatabricksInstancePoolId": pool.id},
        "stats": stats,
        "status": {"pending_instance_errors": []},
    }
