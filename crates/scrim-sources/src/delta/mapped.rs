//! A table whose columns have other names in its files.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use scrim_engine::Versioned;

/// A table over files that call its columns by other names.
#[derive(Debug)]
pub(super) struct Mapped {
    files: Arc<dyn Versioned>,
    schema: SchemaRef,
}

impl Mapped {
    /// The table with its columns, in their order, under these names.
    pub(super) fn new(files: Arc<dyn Versioned>, names: &[String]) -> Self {
        let inner = files.schema();
        let fields = inner.fields().iter().zip(names);
        let fields: Vec<_> = fields
            .map(|(f, name)| f.as_ref().clone().with_name(name))
            .collect();
        Self {
            files,
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// A condition in the words of the files.
    fn inner(&self, condition: &Expr) -> Result<Expr> {
        let inner = self.files.schema();
        let renamed = condition.clone().transform(|expr| match expr {
            Expr::Column(column) => {
                let index = self.schema.index_of(&column.name)?;
                let name = inner.field(index).name();
                Ok(Transformed::yes(Expr::Column(Column::from_name(name))))
            }
            other => Ok(Transformed::no(other)),
        });
        Ok(renamed?.data)
    }
}

#[async_trait]
impl Versioned for Mapped {
    async fn version(&self, session: &dyn Session) -> Result<String> {
        self.files.version(session).await
    }
}

#[async_trait]
impl TableProvider for Mapped {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let inner = filters.iter().map(|filter| self.inner(filter));
        let inner: Vec<Expr> = inner.collect::<Result<_>>()?;
        self.files
            .supports_filters_pushdown(&inner.iter().collect::<Vec<_>>())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filters = filters.iter().map(|filter| self.inner(filter));
        let filters: Vec<Expr> = filters.collect::<Result<_>>()?;
        let plan = self
            .files
            .scan(session, projection, &filters, limit)
            .await?;
        let outer = match projection {
            Some(projection) => Arc::new(self.schema.project(projection)?),
            None => Arc::clone(&self.schema),
        };
        let inner = plan.schema();
        let fields = inner.fields().iter().zip(outer.fields()).enumerate();
        let columns = fields.map(|(index, (inner, outer))| ProjectionExpr {
            expr: Arc::new(PhysicalColumn::new(inner.name(), index)),
            alias: outer.name().clone(),
        });
        Ok(Arc::new(ProjectionExec::try_new(
            columns.collect::<Vec<_>>(),
            plan,
        )?))
    }
}
