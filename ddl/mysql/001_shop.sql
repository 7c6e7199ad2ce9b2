-- The shop. Permissive, as real sources are: business keys are indexed, not unique, and
-- every column may be null. row_id is what extraction keys on; every cursor is indexed
-- (InnoDB appends the primary key to it). Times are UTC.

create table if not exists customers (
    row_id bigint not null auto_increment primary key,
    customer_id varchar(64),
    email varchar(255),
    first_name varchar(100),
    last_name varchar(100),
    phone varchar(50),
    date_of_birth date,
    gender varchar(20),
    address varchar(255),
    city varchar(100),
    state varchar(100),
    country varchar(100),
    postal_code varchar(20),
    registration_date date,
    is_active tinyint(1),
    created_at datetime(6),
    updated_at datetime(6),
    index customers_customer_id (customer_id),
    index customers_updated_at (updated_at)
) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

create table if not exists customer_demographics (
    row_id bigint not null auto_increment primary key,
    customer_id varchar(64),
    age_group varchar(20),
    income_level varchar(50),
    education_level varchar(50),
    occupation varchar(100),
    household_size int,
    interests json,
    updated_at datetime(6),
    index customer_demographics_customer_id (customer_id),
    index customer_demographics_updated_at (updated_at)
) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

create table if not exists transactions (
    row_id bigint not null auto_increment primary key,
    transaction_id varchar(64),
    customer_id varchar(64),
    order_date datetime(6),
    total_amount decimal(18, 2),
    discount_amount decimal(18, 2),
    payment_method varchar(50),
    order_status varchar(50),
    shipping_country varchar(100),
    updated_at datetime(6),
    index transactions_transaction_id (transaction_id),
    index transactions_customer_id (customer_id),
    index transactions_updated_at (updated_at)
) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

create table if not exists transaction_items (
    row_id bigint not null auto_increment primary key,
    item_id varchar(64),
    transaction_id varchar(64),
    product_id varchar(64),
    product_name varchar(255),
    category varchar(100),
    quantity int,
    unit_price decimal(18, 6),
    discount_percent decimal(9, 4),
    line_total decimal(18, 2),
    updated_at datetime(6),
    index transaction_items_item_id (item_id),
    index transaction_items_transaction_id (transaction_id),
    index transaction_items_updated_at (updated_at)
) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

create table if not exists customer_segments (
    row_id bigint not null auto_increment primary key,
    segment_id varchar(64),
    segment_name varchar(100),
    description varchar(1000),
    criteria json,
    target_value decimal(18, 2),
    created_at datetime(6),
    updated_at datetime(6),
    index customer_segments_segment_id (segment_id),
    index customer_segments_updated_at (updated_at)
) engine = innodb default character set utf8mb4 collate utf8mb4_bin;

create table if not exists customer_segment_mapping (
    row_id bigint not null auto_increment primary key,
    customer_id varchar(64),
    segment_id varchar(64),
    assigned_date date,
    score decimal(9, 4),
    confidence decimal(9, 4),
    created_at datetime(6),
    index customer_segment_mapping_customer_id (customer_id),
    index customer_segment_mapping_created_at (created_at)
) engine = innodb default character set utf8mb4 collate utf8mb4_bin;
