"""TF1-era configs in the style of upstream's samples, written for these tests."""

HYPERPARAMS = """conv_hyperparams {
        activation: RELU_6,
        regularizer { l2_regularizer { weight: 0.00004 } }
        initializer { truncated_normal_initializer { stddev: 0.03 mean: 0.0 } }
        batch_norm { train: true, scale: true, center: true, decay: 0.9997, epsilon: 0.001, }
      }"""

READERS = """
train_input_reader: {
  tf_record_input_reader { input_path: "PATH_TO_BE_CONFIGURED/train.record" }
  label_map_path: "PATH_TO_BE_CONFIGURED/label_map.pbtxt"
  queue_capacity: 500
  min_after_dequeue: 250
}
eval_config: {
  num_examples: 8000
  max_evals: 10  # as upstream's samples have it
  metrics_set: "pascal_voc_metrics"
}
eval_input_reader: {
  tf_record_input_reader { input_path: "PATH_TO_BE_CONFIGURED/val.record" }
  label_map_path: "PATH_TO_BE_CONFIGURED/label_map.pbtxt"
  shuffle: false
  num_readers: 1
}
"""

SSD = (
    f"""# SSD with MobileNet v1
model {{
  ssd {{
    inplace_batchnorm_update: true
    num_classes: 3
    box_coder {{
      faster_rcnn_box_coder {{ y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 }}
    }}
    matcher {{
      argmax_matcher {{
        matched_threshold: 0.5
        unmatched_threshold: 0.5
        ignore_thresholds: false
        negatives_lower_than_unmatched: true
        force_match_for_each_row: true
      }}
    }}
    similarity_calculator {{ iou_similarity {{ }} }}
    anchor_generator {{
      ssd_anchor_generator {{
        num_layers: 6
        min_scale: 0.2
        max_scale: 0.95
        aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333]
      }}
    }}
    image_resizer {{ fixed_shape_resizer {{ height: 300 width: 300 }} }}
    box_predictor {{
      convolutional_box_predictor {{
        min_depth: 0
        max_depth: 0
        num_layers_before_predictor: 0
        use_dropout: false
        dropout_keep_probability: 0.8
        kernel_size: 1
        box_code_size: 4
        apply_sigmoid_to_scores: false
        {HYPERPARAMS}
      }}
    }}
    feature_extractor {{
      type: 'ssd_mobilenet_v1'
      min_depth: 16
      depth_multiplier: 1.0
      {HYPERPARAMS}
    }}
    loss {{
      classification_loss {{ weighted_sigmoid {{ anchorwise_output: true }} }}
      localization_loss {{ weighted_smooth_l1 {{ anchorwise_output: true }} }}
      hard_example_miner {{
        num_hard_examples: 3000
        iou_threshold: 0.99
        loss_type: CLASSIFICATION
        max_negatives_per_positive: 3
        min_negatives_per_image: 0
      }}
      classification_weight: 1.0
      localization_weight: 1.0
    }}
    normalize_loss_by_num_matches: true
    post_processing {{
      batch_non_max_suppression {{
        score_threshold: 1e-8
        iou_threshold: 0.6
        max_detections_per_class: 100
        max_total_detections: 100
      }}
      score_converter: SIGMOID
    }}
  }}
}}
train_config: {{
  batch_size: 24
  optimizer {{
    rms_prop_optimizer: {{
      learning_rate: {{
        exponential_decay_learning_rate {{ initial_learning_rate: 0.004 decay_steps: 800720 decay_factor: 0.95 }}
      }}
      momentum_optimizer_value: 0.9
      decay: 0.9
      epsilon: 1.0
    }}
  }}
  fine_tune_checkpoint: "PATH_TO_BE_CONFIGURED/model.ckpt"
  from_detection_checkpoint: true
  load_all_detection_checkpoint_vars: true
  batch_queue_capacity: 20
  num_batch_queue_threads: 4
  prefetch_queue_capacity: 10
  sync_replicas: true
  startup_delay_steps: 0
  replicas_to_aggregate: 8
  num_steps: 200000
  data_augmentation_options {{ random_horizontal_flip {{ }} }}
  data_augmentation_options {{ ssd_random_crop {{ }} }}
}}
graph_rewriter {{ quantization {{ delay: 48000 activation_bits: 8 weight_bits: 8 }} }}
"""
    + READERS
)

FASTER_RCNN = (
    """
model {
  faster_rcnn {
    num_classes: 3
    image_resizer { keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 } }
    feature_extractor { type: 'faster_rcnn_resnet101' first_stage_features_stride: 8 }
    first_stage_anchor_generator {
      grid_anchor_generator {
        scales: [0.25, 0.5, 1.0, 2.0]
        aspect_ratios: [0.5, 1.0, 2.0]
        height_stride: 8
        width_stride: 8
      }
    }
    first_stage_atrous_rate: 2
    first_stage_box_predictor_conv_hyperparams {
      op: CONV
      regularizer { l2_regularizer { weight: 0.0 } }
      initializer { truncated_normal_initializer { stddev: 0.01 } }
    }
    first_stage_nms_score_threshold: 0.0
    first_stage_nms_iou_threshold: 0.7
    first_stage_max_proposals: 300
    first_stage_localization_loss_weight: 2.0
    first_stage_objectness_loss_weight: 1.0
    initial_crop_size: 14
    maxpool_kernel_size: 2
    maxpool_stride: 2
    second_stage_box_predictor {
      mask_rcnn_box_predictor {
        use_dropout: false
        dropout_keep_probability: 1.0
        fc_hyperparams {
          op: FC
          regularizer { l2_regularizer { weight: 0.0 } }
          initializer { variance_scaling_initializer { factor: 1.0 uniform: true mode: FAN_AVG } }
        }
      }
    }
    second_stage_post_processing {
      batch_non_max_suppression {
        score_threshold: 0.0
        iou_threshold: 0.6
        max_detections_per_class: 100
        max_total_detections: 300
      }
      score_converter: SOFTMAX
    }
    second_stage_localization_loss_weight: 2.0
    second_stage_classification_loss_weight: 1.0
  }
}
train_config: {
  batch_size: 1
  optimizer {
    momentum_optimizer: {
      learning_rate: {
        manual_step_learning_rate {
          initial_learning_rate: 0.0001
          schedule { step: 0 learning_rate: .0003 }
          schedule { step: 900000 learning_rate: .00003 }
          schedule { step: 1200000 learning_rate: .000003 }
        }
      }
      momentum_optimizer_value: 0.9
    }
    use_moving_average: false
  }
  gradient_clipping_by_norm: 10.0
  fine_tune_checkpoint: "/data/faster_rcnn_resnet101_coco_2018_01_28/model.ckpt"
  from_detection_checkpoint: true
  num_steps: 1500000
  data_augmentation_options { random_horizontal_flip { } }
}
"""
    + READERS
)
