-- What the endpoint costs: units and list price of each day.
SELECT
  u.usage_date AS day,
  sum(u.usage_quantity) AS dbus,
  sum(u.usage_quantity * p.pricing.effective_list.default) AS list_price
FROM system.billing.usage AS u
JOIN system.billing.list_prices AS p
  ON u.sku_name = p.sku_name
  AND u.cloud = p.cloud
  AND u.usage_start_time >= p.price_start_time
  AND (p.price_end_time IS NULL OR u.usage_start_time < p.price_end_time)
WHERE u.billing_origin_product = 'MODEL_SERVING'
  AND u.usage_metadata.endpoint_name = '{endpoint}'
  AND u.usage_date >= date_sub(current_date(), {days_back})
GROUP BY 1
ORDER BY 1 DESC
